//! The kernels, family by family.

use noyau::nn::activation::gelu;
use noyau::nn::{AttentionMask, scaled_dot_product_attention};
use noyau::prelude::*;
use noyau::tensor::PoolOptions;

use super::Fill::{Below, Noise, Ones, Zeros};
use super::{Fill, Kernel, Operand};
use crate::check::Check;

/// Every kernel.
pub fn all() -> Vec<Kernel> {
    let mut list = Vec::new();
    products(&mut list);
    convolutions(&mut list);
    maps(&mut list);
    reductions(&mut list);
    rows(&mut list);
    attention(&mut list);
    places(&mut list);
    pooling(&mut list);
    optimizers(&mut list);
    draws(&mut list);
    orders(&mut list);
    list
}

type List = Vec<Kernel>;

fn of(shape: &[usize], fill: Fill) -> Operand {
    Operand::new(shape, fill)
}

fn noise(shape: &[usize]) -> Operand {
    Operand::new(shape, Noise)
}

/// Sizes in words: `64x32`.
fn by(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A power of two in words.
fn power(n: usize) -> String {
    format!("2^{}", n.ilog2())
}

/// The gradients of a result whose own gradient is the last operand, with respect to the operands in `wrt`.
fn backward(y: &Tensor, operands: &[Param], wrt: &[usize]) -> Step {
    let Some(g) = operands.last() else { return Step::returns(y) };
    let with: Vec<&Tensor> = wrt.iter().map(|&i| operands[i].tensor()).collect();
    grad(&(y * g.tensor()).sum(), &with).iter().fold(Step::default(), |step, gradient| step.and_returns(gradient))
}

/// `[m, k] x [k, n]`, each operand possibly stored transposed (`t`).
pub fn product(m: usize, n: usize, k: usize, stored: &str, half: bool) -> Kernel {
    let transposed = [stored.starts_with('t'), stored.ends_with('t')];
    let shapes = [if transposed[0] { [k, m] } else { [m, k] }, if transposed[1] { [n, k] } else { [k, n] }];
    let operands = shapes.iter().map(|shape| if half { noise(shape).half() } else { noise(shape) }).collect();
    let name = format!("{m}x{n}x{k}-{stored}{}", if half { "-f16" } else { "" });
    let seen = |x: &Param, transposed: bool| if transposed { x.t() } else { x.tensor().clone() };
    let expression = move |x: &[Param]| Step::returns(&seen(&x[0], transposed[0]).matmul(&seen(&x[1], transposed[1])));
    Kernel::new("matmul", name, operands, expression).in_flops().checked(Check::Product { transposed })
}

fn products(list: &mut List) {
    for n in [64, 128, 256, 512, 1024] {
        list.push(product(n, n, n, "nn", false));
    }
    for stored in ["nt", "tn", "tt"] {
        list.push(product(512, 512, 512, stored, false));
    }
    list.push(product(2048, 2048, 2048, "nn", false).large());
    // Odd sizes, the products of a small network's step, and long sums of few results.
    for (m, n, k, stored) in [
        (511, 513, 509, "nn"),
        (128, 512, 784, "nt"),
        (512, 784, 128, "tn"),
        (1024, 512, 784, "nt"),
        (128, 10, 256, "nt"),
        (64, 64, 16_384, "nn"),
        (1, 4096, 4096, "nn"),
        (1, 4096, 4096, "nt"),
        (4096, 1, 4096, "nn"),
        (8, 4096, 4096, "nt"),
    ] {
        list.push(product(m, n, k, stored, false));
    }
    list.push(product(1024, 1024, 1024, "nn", true));
    for (batch, n) in [(64, 64), (16, 256), (256, 32)] {
        let shape = [batch, n, n];
        let expression = |x: &[Param]| Step::returns(&x[0].matmul(&x[1]));
        list.push(Kernel::new("matmul-batched", by(&shape), vec![noise(&shape), noise(&shape)], expression).in_flops());
    }
    let epilogue = |x: &[Param]| Step::returns(&((x[0].matmul(&x[1]) + x[2].tensor()).relu() + x[3].tensor()));
    let (side, bias) = (noise(&[512, 512]), noise(&[512]));
    let operands = vec![side.clone(), side.clone(), bias, side];
    list.push(Kernel::new("matmul-bias-relu-residual", "512", operands, epilogue).in_flops());
}

fn convolutions(list: &mut List) {
    // Batch, channels in and out, size, kernel, stride, groups.
    for [b, ci, co, size, k, stride, groups] in [
        [128, 1, 16, 28, 3, 1, 1],
        [128, 16, 32, 14, 3, 1, 1],
        [8, 64, 64, 56, 3, 1, 1],
        [8, 64, 128, 28, 3, 2, 1],
        [8, 256, 64, 28, 1, 1, 1],
        [8, 64, 64, 56, 3, 1, 64],
    ] {
        let out = (size + 2 * (k / 2) - k) / stride + 1;
        let flops = 2.0 * (b * co * out * out) as f64 * (ci / groups * k * k) as f64;
        let kind = if groups > 1 { "-depthwise".to_string() } else { format!("x{co}-{k}x{k}") };
        let sizes = format!("{}{kind}{}", by(&[b, ci, size, size]), if stride > 1 { "-stride2" } else { "" });
        let convolve = move |x: &[Param]| x[0].conv2d(&x[1], &ConvOptions::new().stride(stride).padding(k / 2).groups(groups));
        let (x, w, g) = (noise(&[b, ci, size, size]), noise(&[co, ci / groups, k, k]), noise(&[b, co, out, out]));
        let forward = move |x: &[Param]| Step::returns(&convolve(x));
        list.push(Kernel::new("conv", &sizes, vec![x.clone(), w.clone()], forward).flops(flops));
        let input = move |x: &[Param]| backward(&convolve(x), x, &[0]);
        list.push(Kernel::new("conv-input-grad", &sizes, vec![x.clone(), w.clone(), g.clone()], input).flops(flops));
        let weight = move |x: &[Param]| backward(&convolve(x), x, &[1]);
        list.push(Kernel::new("conv-weight-grad", &sizes, vec![x, w, g], weight).flops(flops));
    }
}

/// gelu(1.5 x + 0.5).
pub fn activation(n: usize) -> Kernel {
    Kernel::new("map-gelu", power(n), vec![noise(&[n])], |x| Step::returns(&gelu(&(x[0].tensor() * 1.5 + 0.5)))).checked(Check::Gelu)
}

fn maps(list: &mut List) {
    for n in [1 << 12, 1 << 18, 1 << 22] {
        list.push(Kernel::new("map-scale", power(n), vec![noise(&[n])], |x| Step::returns(&(x[0].tensor() * 2.0))));
        list.push(Kernel::new("map-add", power(n), vec![noise(&[n]), noise(&[n])], |x| Step::returns(&(x[0].tensor() + x[1].tensor()))));
        list.push(activation(n));
    }
    let n = 1 << 22;
    list.push(Kernel::new("map-exp", power(n), vec![noise(&[n])], |x| Step::returns(&x[0].exp())));
    list.push(Kernel::new("map-tanh", power(n), vec![noise(&[n])], |x| Step::returns(&x[0].tanh())));
    list.push(Kernel::new("map-gelu-grad", power(n), vec![noise(&[n]), noise(&[n])], |x| backward(&gelu(&x[0]), x, &[0])));
    let wide = [2048, 2048];
    list.push(Kernel::new("map-bias-relu", by(&wide), vec![noise(&wide), noise(&[2048])], |x| {
        Step::returns(&(x[0].tensor() + x[1].tensor()).relu())
    }));
    list.push(Kernel::new("map-transposed", by(&wide), vec![noise(&wide)], |x| Step::returns(&(x[0].t() * 2.0))));
    let image = [32, 3, 64, 64];
    list.push(Kernel::new("map-permuted", by(&image), vec![noise(&image)], |x| Step::returns(&(x[0].permute(&[0, 2, 3, 1]) * 2.0))));
    list.push(Kernel::new("map-padded", by(&image), vec![noise(&image)], |x| {
        Step::returns(&(x[0].pad(&[(0, 0), (0, 0), (2, 2), (2, 2)], 0.0) * 2.0))
    }));
}

/// The sum of so many ones.
pub fn sum(n: usize) -> Kernel {
    Kernel::new("reduce-all", power(n), vec![of(&[n], Ones)], |x| Step::returns(&x[0].sum())).checked(Check::Sum(n))
}

fn reductions(list: &mut List) {
    for n in [1 << 14, 1 << 20, 1 << 22] {
        list.push(sum(n));
    }
    for shape in [[65_536, 32], [4096, 1024], [16, 262_144]] {
        list.push(Kernel::new("reduce-rows", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].sum_axes(&[1]))));
    }
    for shape in [[128, 512], [4096, 1024], [65_536, 32]] {
        list.push(Kernel::new("reduce-columns", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].sum_axes(&[0]))));
    }
    let shape = [4096, 1024];
    list.push(Kernel::new("reduce-max-rows", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].max(&[1]))));
    list.push(Kernel::new("reduce-argmax-rows", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].argmax(1))));
    let image = [32, 64, 28, 28];
    list.push(Kernel::new("reduce-channels", by(&image), vec![noise(&image)], |x| Step::returns(&x[0].sum_axes(&[0, 2, 3]))));
}

/// Softmax of rows.
pub fn softmax(shape: [usize; 2]) -> Kernel {
    Kernel::new("softmax", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].softmax(-1))).checked(Check::Softmax)
}

/// Layer norm of rows, with scale and shift.
pub fn layer_norm(shape: [usize; 2]) -> Kernel {
    let operands = vec![noise(&shape), noise(&shape[1..]), noise(&shape[1..])];
    Kernel::new("layernorm", by(&shape), operands, |x| Step::returns(&normalised(x))).checked(Check::LayerNorm)
}

fn normalised(x: &[Param]) -> Tensor {
    let mut layer = LayerNorm::new([x[0].shape()[1]]);
    (layer.weight, layer.bias) = (Some(x[1].clone()), Some(x[2].clone()));
    layer.forward(&x[0], &Mode::train())
}

fn rows(list: &mut List) {
    for shape in [[16_384, 64], [4096, 1024], [256, 32_768]] {
        let two = || vec![noise(&shape), noise(&shape)];
        list.push(softmax(shape));
        list.push(Kernel::new("softmax-grad", by(&shape), two(), |x| backward(&x[0].softmax(-1), x, &[0])));
        list.push(Kernel::new("log-softmax", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].log_softmax(-1))));
        list.push(layer_norm(shape));
        let operands = vec![noise(&shape), noise(&shape[1..]), noise(&shape[1..]), noise(&shape)];
        list.push(Kernel::new("layernorm-grad", by(&shape), operands, |x| backward(&normalised(x), x, &[0, 1, 2])));
    }
    let shape = [4096, 1024];
    list.push(Kernel::new("log-softmax-grad", by(&shape), vec![noise(&shape), noise(&shape)], |x| {
        backward(&x[0].log_softmax(-1), x, &[0])
    }));
    for shape in [[128, 10], [4096, 1000]] {
        let operands = || vec![noise(&shape), of(&shape[..1], Below(shape[1] as u32))];
        list.push(Kernel::new("cross-entropy", by(&shape), operands(), |x| Step::returns(&cross_entropy(&x[0], &x[1]))));
        list.push(Kernel::new("cross-entropy-grad", by(&shape), operands(), |x| {
            Step::returns(&grad(&cross_entropy(&x[0], &x[1]), &[&x[0]])[0])
        }));
    }
    let image = [32, 64, 28, 28];
    let norm = |x: &[Param]| {
        let mut layer = BatchNorm::new(64).without_running_stats();
        (layer.weight, layer.bias) = (Some(x[1].clone()), Some(x[2].clone()));
        layer.forward(&x[0], &Mode::train())
    };
    let operands = || vec![noise(&image), noise(&[64]), noise(&[64])];
    list.push(Kernel::new("batchnorm", by(&image), operands(), move |x| Step::returns(&norm(x))));
    let with_gradient = [operands(), vec![noise(&image)]].concat();
    list.push(Kernel::new("batchnorm-grad", by(&image), with_gradient, move |x| backward(&norm(x), x, &[0, 1, 2])));
}

fn attention(list: &mut List) {
    for (heads, places, width) in [(32, 128, 32), (8, 512, 64), (8, 1024, 64)] {
        let shape = [heads, places, width];
        // Two products forward; five backward, one of them a product of the forward pass again.
        let flops = 4.0 * (heads * places * places * width) as f64;
        let operands = |count| vec![noise(&shape); count];
        let attend = |x: &[Param]| scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::none());
        list.push(Kernel::new("attention", by(&shape), operands(3), move |x| Step::returns(&attend(x))).flops(flops));
        let gradient = move |x: &[Param]| backward(&attend(x), x, &[0, 1, 2]);
        list.push(Kernel::new("attention-grad", by(&shape), operands(4), gradient).flops(2.5 * flops));
    }
    let shape = [8, 512, 64];
    let causal = |x: &[Param]| Step::returns(&scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::causal()));
    list.push(Kernel::new("attention-causal", by(&shape), vec![noise(&shape); 3], causal).flops(2.0 * (8 * 512 * 512 * 64) as f64));
}

fn places(list: &mut List) {
    let (table, index) = ([10_000, 256], of(&[4096], Below(10_000)));
    list.push(Kernel::new("gather-rows", "4096-of-10000x256", vec![noise(&table), index.clone()], |x| {
        Step::returns(&x[0].index_select(0, &x[1]))
    }));
    list.push(Kernel::new("scatter-rows", "4096-to-10000x256", vec![of(&table, Zeros), index, noise(&[4096, 256])], |x| {
        backward(&x[0].index_select(0, &x[1]), x, &[0])
    }));
    let square = [1024, 1024];
    list.push(Kernel::new("gather-elements", by(&square), vec![noise(&square), of(&square, Below(1024))], |x| {
        Step::returns(&x[0].gather(1, &x[1]))
    }));
}

fn pooling(list: &mut List) {
    let image = [32, 32, 28, 28];
    let small = noise(&[32, 32, 14, 14]);
    list.push(Kernel::new("pool-max", by(&image), vec![noise(&image)], |x| Step::returns(&x[0].max_pool2d(2))));
    list.push(Kernel::new("pool-max-grad", by(&image), vec![noise(&image), small.clone()], |x| backward(&x[0].max_pool2d(2), x, &[0])));
    let overlapping = |x: &[Param]| x[0].avg_pool2d(PoolOptions::new(3).stride(2).padding(1));
    list.push(Kernel::new("pool-avg-3x3", by(&image), vec![noise(&image)], move |x| Step::returns(&overlapping(x))));
    list.push(Kernel::new("pool-avg-3x3-grad", by(&image), vec![noise(&image), small], move |x| backward(&overlapping(x), x, &[0])));
}

fn optimizers(list: &mut List) {
    for (count, n) in [(1, 1 << 20), (100, 10_000)] {
        let operands = || vec![noise(&[n]); 2 * count];
        let sizes = format!("{count}x{n}");
        // A rate so small that the parameters hardly move, however often they are updated.
        list.push(Kernel::new("update-sgd", &sizes, operands(), |x| update(&Sgd::new(1e-6).momentum(0.9), x)));
        list.push(Kernel::new("update-adam", &sizes, operands(), |x| update(&Adam::new(1e-6), x)));
    }
}

/// The first half of the operands, updated by the gradients in the second.
fn update(optimizer: &dyn Optimizer, operands: &[Param]) -> Step {
    let (parameters, gradients) = operands.split_at(operands.len() / 2);
    let named: Vec<(String, Param)> = parameters.iter().map(|p| (p.name().to_string(), p.clone())).collect();
    let gradients = gradients.iter().map(|g| g.tensor().clone()).collect();
    Step::default().updates(optimizer.apply(Ok(gradients), &named))
}

fn draws(list: &mut List) {
    let n = 1 << 20;
    list.push(Kernel::new("random-uniform", power(n), vec![], move |_| Step::returns(&Tensor::rand([n]))));
    list.push(Kernel::new("random-normal", power(n), vec![], move |_| Step::returns(&Tensor::randn([n]))));
    list.push(Kernel::new("random-dropout", power(n), vec![noise(&[n])], |x| Step::returns(&Dropout(0.1).forward(&x[0], &Mode::train()))));
}

fn orders(list: &mut List) {
    let shape = [256, 1024];
    list.push(Kernel::new("sort-rows", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].sort(1, false).0)));
    list.push(Kernel::new("sort-topk10", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].topk(10, 1, true).0)));
    list.push(Kernel::new("scan-sum-rows", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].cumsum(1))));
    list.push(Kernel::new("scan-sum-columns", by(&shape), vec![noise(&shape)], |x| Step::returns(&x[0].cumsum(0))));
}
