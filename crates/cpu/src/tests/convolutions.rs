//! Convolutions and their gradients, compiled: products over windows against the reference, shape class by shape class.

use noyau_compile::{Graph, Options, compile, split_reductions};
use noyau_tensor::{ConvOptions, Shape, Tensor, grad};

use super::*;
use crate::{Values, evaluate};

/// The plan of a convolution with a bias and an activation, and of the gradients of a sum weighted by another argument.
fn plans(x: &[usize], w: &[usize], options: &ConvOptions) -> Vec<Plan> {
    let shapes = |out: &Shape| [Shape::from(x), Shape::from(w), Shape::from(vec![w[0]]), out.clone()];
    let input = |i: usize, shape: &Shape| Tensor::input(i, shape.clone(), DType::F32);
    let (image, kernel) = (input(0, &x.into()), input(1, &w.into()));
    let convolved = if w.len() == 3 { image.conv1d(&kernel, options) } else { image.conv2d(&kernel, options) };
    assert!(convolved.error().is_none(), "{:?}", convolved.error());
    let shapes = shapes(convolved.shape());
    let mut bias = vec![1; w.len() - 2];
    bias.insert(0, w[0]);
    let forward = (&convolved + &input(2, &shapes[2]).reshape(bias)).relu();
    let loss = (&convolved * &input(3, &shapes[3])).sum();
    let gradients = grad(&loss, &[&image, &kernel]);
    let inputs: Vec<(Shape, DType)> = shapes.iter().map(|s| (s.clone(), DType::F32)).collect();
    let plan = |outputs: &[&Tensor]| {
        let graph = Graph::trace(&inputs, outputs, &[]).unwrap();
        apart(compile(&graph, Options::new(Limits::CPU)).unwrap())
    };
    vec![plan(&[&convolved]), plan(&[&forward]), plan(&[&gradients[0]]), plan(&[&gradients[1]])]
}

/// The plan with every buffer in memory of its own, so that each can be compared.
fn apart(mut plan: Plan) -> Plan {
    plan.slots = plan.buffers.iter().map(Buffer::len).collect();
    for (i, buffer) in plan.buffers.iter_mut().enumerate() {
        if let BufferKind::Slot(_) | BufferKind::Input(_) = buffer.kind {
            buffer.kind = BufferKind::Slot(i);
        }
    }
    plan.inputs.clear();
    plan
}

/// How many of the products of a plan slide.
fn sliding(plan: &Plan) -> usize {
    let products = plan.kernels.iter().filter_map(|k| if let KernelKind::Matmul(m) = &k.kind { Some(m) } else { None });
    products.filter(|m| crate::sliding::Sliding::new(m, Simd::Base).is_some()).count()
}

/// The forward pass, the same with bias and activation, the input's gradient and the weight's agree with the reference; `slides` says how many of the
/// products of each slide.
fn agree(x: &[usize], w: &[usize], options: &ConvOptions, slides: Option<[usize; 4]>) {
    let what = format!("{x:?} by {w:?}, {options:?}");
    let plans = plans(x, w, options);
    let found: Vec<usize> = plans.iter().map(sliding).collect();
    if let Some(slides) = slides {
        assert_eq!(found, slides, "{what}");
    }
    let results = plans[0].buffers[plans[0].outputs[0].0].len() / w[0];
    let taps: usize = w[1..].iter().product();
    // The size of f32's rounding errors beside sums of products of up to 4.
    let tolerance = |sum: usize| 1.6e-7 * sum.max(200) as f64;
    let sums = [taps, taps, taps * w[0] / w[1], results];
    for (i, (plan, sum)) in plans.into_iter().zip(sums).enumerate() {
        check(plan, 41 + i as u64, tolerance(sum), &format!("{what}, plan {i}"));
    }
}

fn padded(n: usize) -> ConvOptions {
    ConvOptions::default().padding(n)
}

#[test]
fn images_of_all_sizes() {
    // Results wider and narrower than a vector, one row, one column; channels that fill tiles and do not.
    for (h, w) in [(14, 14), (7, 9), (5, 17), (3, 64), (19, 3), (16, 16), (1, 35), (35, 1)] {
        for (ci, co) in [(1, 16), (3, 10), (16, 5), (2, 1), (5, 33)] {
            agree(&[2, ci, h, w], &[co, ci, 3, 3], &padded(1), None);
        }
    }
    // Those of most networks slide, all of them.
    for (n, ci, co, size) in [(17, 1, 8, 14), (4, 8, 16, 14), (1, 3, 8, 20)] {
        for padding in [0, 1, 2] {
            agree(&[n, ci, size, size], &[co, ci, 3, 3], &padded(padding), Some([1, 1, 1, 1]));
        }
    }
}

#[test]
fn kernels_of_all_sizes() {
    for kernel in [[1, 1], [1, 3], [3, 1], [2, 2], [5, 5], [7, 3], [8, 9], [10, 10]] {
        for padding in [0, 1, 2, 6] {
            // Also kernels larger than the image, and more padding than a kernel covers.
            if kernel[0] <= 8 + 2 * padding {
                agree(&[2, 4, 8, 9], &[6, 4, kernel[0], kernel[1]], &padded(padding), None);
            }
        }
    }
    agree(&[2, 4, 1, 1], &[6, 4, 3, 3], &padded(1), None);
}

#[test]
fn options_of_all_kinds() {
    let options = ConvOptions::default;
    for (x, w) in [([2, 4, 12, 13], [6, 2, 3, 3]), ([3, 2, 9, 20], [4, 1, 3, 2]), ([2, 6, 8, 8], [6, 3, 3, 3])] {
        for o in
            [options(), options().stride(2), options().stride([2, 1]), options().dilation(2), options().dilation([1, 3]).stride([1, 2])]
        {
            for padding in [[0, 0], [1, 1], [2, 0], [0, 1]] {
                agree(&x, &w, &o.clone().padding(padding).groups(x[1] / w[1]), None);
            }
        }
    }
    // Strided, half of what is computed would be thrown away.
    agree(&[2, 3, 20, 20], &[8, 3, 3, 3], &options().padding(1).stride([2, 1]), Some([0, 0, 1, 1]));
    agree(&[2, 3, 20, 20], &[8, 3, 3, 3], &options().padding(2).dilation(2), Some([1, 1, 1, 1]));
    agree(&[4, 6, 20, 20], &[8, 3, 3, 3], &options().padding(1).groups(2), Some([1, 1, 1, 1]));
}

#[test]
fn signals() {
    for (x, w, padding) in
        [([3, 2, 50], [5, 2, 3], 1), ([1, 3, 300], [4, 3, 9], 0), ([40, 4, 33], [16, 4, 5], 2), ([2, 1, 7], [3, 1, 7], 3)]
    {
        agree(&x, &w, &padded(padding), None);
        agree(&x, &w, &padded(padding).dilation(2).padding(4 * padding), None);
    }
}

/// Images that are worked on in parts.
#[test]
fn large_images() {
    agree(&[1, 1, 130, 130], &[5, 1, 3, 3], &padded(1), Some([1, 1, 1, 1]));
    agree(&[1, 2, 40, 64], &[30, 2, 3, 3], &padded(0), Some([1, 1, 1, 1]));
    agree(&[1, 1, 70_000], &[2, 1, 3], &padded(1), None);
}

/// Infinities stay where they belong: what is computed between rows and thrown away is not to be seen.
#[test]
fn what_lies_between_rows() {
    let plan = plans(&[1, 1, 5, 20], &[2, 1, 3, 3], &padded(1)).swap_remove(0);
    let mut data: Vec<Vec<u32>> = plan.buffers.iter().map(|b| vec![1f32.to_bits(); b.len()]).collect();
    for buffer in &mut data {
        if buffer.len() == 100 {
            buffer[20] = f32::INFINITY.to_bits();
            buffer[59] = f32::NAN.to_bits();
        }
    }
    check_on(plan, &data, 1e-6, "infinities");
}

#[test]
fn threads_change_nothing() {
    for plan in plans(&[48, 4, 20, 20], &[24, 4, 3, 3], &padded(1)) {
        let plan = Arc::new(plan);
        let mut random = Random(5);
        let data: Vec<Array> = plan
            .buffers
            .iter()
            .map(|b| Array::from_words(b.shape.clone(), b.dtype, (0..b.len()).map(|_| random.word(b.dtype)).collect()).unwrap())
            .collect();
        let run = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let mut executable = Cpu::new().load(Arc::clone(&plan), &mut |_| unreachable!()).unwrap();
                data.iter().enumerate().for_each(|(i, array)| executable.write_buffer(BufferId(i), array).unwrap());
                executable.run().unwrap();
                (0..data.len()).map(|i| executable.read_buffer(BufferId(i)).unwrap()).collect::<Vec<_>>()
            })
        };
        let alone = run(1);
        assert!([2, 3, 5].into_iter().all(|threads| run(threads) == alone));
    }
}

/// Poolings and their gradients, of images that their windows do not fill: read through several views.
#[test]
fn poolings_of_odd_images() {
    for (n, h, w, kernel) in [(3, 11, 13, 2), (20, 11, 11, 2), (2, 7, 40, 3), (5, 5, 2, 2), (1, 100, 9, 4)] {
        let x = Tensor::input(0, [n, 4, h, w], DType::F32);
        let pooled = [x.max_pool2d(kernel), x.avg_pool2d(kernel)];
        for y in &pooled {
            let weights = Tensor::input(1, y.shape().clone(), DType::F32);
            let gradient = grad(&(y * &weights).sum(), &[&x]).swap_remove(0);
            let inputs = [(x.shape().clone(), DType::F32), (y.shape().clone(), DType::F32)];
            let graph = Graph::trace(&inputs, &[y, &gradient], &[]).unwrap();
            check(
                apart(compile(&graph, Options::new(Limits::CPU)).unwrap()),
                12,
                1e-6,
                &format!("{n} images of {h} x {w}, windows of {kernel}"),
            );
        }
    }
}

/// A long sum in parts is the same sum, whichever of its axes the parts are of, and however few elements a part may have.
/// Few long columns are summed in parts that lie side by side; rows, and columns of which there are many, are not.
#[test]
fn long_columns_in_parts() {
    let longest = |shape: &[usize], axes: &[isize]| {
        let values = Values {
            shape: Shape::from(shape),
            dtype: DType::F32,
            data: (0..shape.iter().product()).map(|i| (i * i % 1009) as f64).collect(),
        };
        let x = Tensor::input(0, shape, DType::F32);
        let graph = Graph::trace(&[(Shape::from(shape), DType::F32)], &[&x.sum_axes(axes), &x.max(axes)], &[]).unwrap();
        let split = split_reductions(&graph, 1 << 15);
        let [whole, parts] = [&graph, &split].map(|g| evaluate(g, std::slice::from_ref(&values), &|_| unreachable!()).unwrap());
        for (whole, parts) in whole.outputs.iter().zip(&parts.outputs) {
            assert_eq!((&whole.shape, &whole.data), (&parts.shape, &parts.data), "{shape:?} over {axes:?}");
        }
        split.nodes.len() - graph.nodes.len()
    };
    for (shape, axes) in [(&[8192, 3][..], &[0][..]), (&[70_000, 2], &[0]), (&[2, 5000, 3], &[1]), (&[10, 600, 4], &[0, 1])] {
        assert!(longest(shape, axes) > 0, "{shape:?} over {axes:?}");
    }
    for (shape, axes) in [(&[3, 8192][..], &[1][..]), (&[8192, 1], &[0]), (&[4096, 3], &[0]), (&[5000, 2048], &[0]), (&[4999, 3], &[0])] {
        assert_eq!(longest(shape, axes), 0, "{shape:?} over {axes:?}");
    }
}

#[test]
fn sums_in_parts() {
    let shape = [6, 5, 8, 7];
    let data: Vec<f64> = (0..1680).map(|i| f64::from(i * i % 1009)).collect();
    let values = Values { shape: Shape::from(&shape[..]), dtype: DType::F32, data };
    for axes in [&[0][..], &[3], &[0, 2, 3], &[0, 1], &[1, 3], &[1, 2], &[2, 3], &[0, 1, 2, 3]] {
        let x = Tensor::input(0, shape, DType::F32);
        let axes_of: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
        let outputs = [x.sum_axes(&axes_of), (&x * -1.0).sum_axes(&axes_of)];
        let graph = Graph::trace(&[(Shape::from(shape), DType::F32)], &[&outputs[0], &outputs[1]], &[]).unwrap();
        let whole = evaluate(&graph, std::slice::from_ref(&values), &|_| unreachable!()).unwrap();
        for limit in [2, 3, 4, 6, 7, 13, 40, 100, 500] {
            let split = split_reductions(&graph, limit);
            let parts = evaluate(&split, std::slice::from_ref(&values), &|_| unreachable!()).unwrap();
            for (whole, parts) in whole.outputs.iter().zip(&parts.outputs) {
                assert_eq!((&whole.shape, &whole.data), (&parts.shape, &parts.data), "axes {axes:?}, at most {limit}");
            }
        }
    }
}
