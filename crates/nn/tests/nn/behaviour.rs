//! What layers promise beyond their formulas: how they begin, what they remember, that parts do not share what they should not.

use std::collections::HashSet;

use noyau_nn::layers::{rotary, sinusoidal_encoding};
use noyau_nn::*;
use noyau_tensor::{DType, Param, Tensor, grad};

use crate::oracle::{Memory, assert_close, call, eval, reals, rounded, with_gradient};

/// All values lie within the bound, some close to either end, and not all in one place.
#[track_caller]
fn uniform_within(param: &Param, bound: f64) {
    let values = eval(param);
    assert!(values.iter().all(|v| v.abs() <= bound), "{}: beyond {bound}", param.name());
    let (low, high) = (0.8 * -bound, 0.8 * bound);
    assert!(values.iter().any(|v| *v < low) && values.iter().any(|v| *v > high), "{}: not up to {bound}", param.name());
}

#[test]
fn layers_begin_as_pytorchs() {
    for (_, param) in Conv2d::new(8, 16, [3, 5]).groups(2).parameters() {
        uniform_within(&param, 1.0 / (4.0 * 15.0f64).sqrt());
    }
    // Its fan counts the second axis, which holds what goes out.
    for (_, param) in ConvTranspose1d::new(8, 16, 3).parameters() {
        uniform_within(&param, 1.0 / (16.0 * 3.0f64).sqrt());
    }
    for (_, param) in Lstm::new(5, 36).parameters() {
        uniform_within(&param, 1.0 / 6.0);
    }
    let attention = MultiHeadAttention::new(24, 4);
    uniform_within(&attention.in_proj_weight[0], (6.0 / (24.0 + 72.0f64)).sqrt());
    uniform_within(&attention.out_proj.weight, 1.0 / 24f64.sqrt());
    assert_eq!(eval(attention.in_proj_bias.as_ref().unwrap()), [0.0; 72]);
    assert_eq!(eval(attention.out_proj.bias.as_ref().unwrap()), [0.0; 24]);
    for layer in [&BatchNorm::new(3) as &dyn Module, &LayerNorm::new([3]), &GroupNorm::new(3, 3), &InstanceNorm::new(3).affine()] {
        let values: Vec<Vec<f64>> = layer.parameters().iter().map(|(_, param)| eval(param)).collect();
        assert_eq!(values, [[1.0; 3], [0.0; 3]]);
    }
    assert_eq!(BatchNorm::new(3).buffers().iter().map(|(_, param)| eval(param)).collect::<Vec<_>>(), [[0.0; 3], [1.0; 3]]);
}

#[test]
fn options_change_what_they_say_and_nothing_else() {
    let names = |layer: &dyn Module| layer.parameters().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&Conv2d::new(4, 4, 3).without_bias().groups(2)), ["weight"]);
    assert_eq!(Conv2d::new(4, 6, 3).groups(2).weight.shape()[..], [6, 2, 3, 3]);
    assert_eq!(ConvTranspose2d::new(4, 6, 3).groups(2).weight.shape()[..], [4, 3, 3, 3]);
    assert_eq!(names(&LayerNorm::new([3]).without_bias()), ["weight"]);
    assert!(names(&InstanceNorm::new(3)).is_empty());
    let bare = Gru::new(2, 3).bidirectional().without_bias().num_layers(2);
    let wanted = ["l0", "l0_reverse", "l1", "l1_reverse"].map(|s| [format!("weight_ih_{s}"), format!("weight_hh_{s}")]);
    assert_eq!(names(&bare), wanted.concat());
    assert_eq!(bare.parameters()[4].1.shape()[..], [9, 6]);
    let lstm = Lstm::new(2, 3).init("bias", init::zeros()).init("weight_hh", init::orthogonal(1.0));
    assert_eq!(eval(&lstm.parameters()[2].1), [0.0; 12]);
    // Three columns of twelve, orthonormal.
    let w = lstm.parameters()[1].1.tensor().clone();
    assert_close(&eval(&w.t().matmul(&w)), &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 1e-6);
    let encoder = TransformerEncoderLayer::new(4, 2).without_bias();
    assert!(names(&encoder).iter().all(|name| name.ends_with("weight")), "{:?}", names(&encoder));
}

#[test]
fn the_layers_of_a_stack_have_parameters_of_their_own() {
    let layer = TransformerEncoderLayer::new(4, 2).dim_feedforward(8);
    let stack = TransformerEncoder::new(&layer, 3);
    let all = [stack.parameters(), layer.parameters()].concat();
    let ids: HashSet<u64> = all.iter().map(|(_, param)| param.state().id()).collect();
    assert_eq!((all.len(), ids.len()), (48, 48));
    // And a layer begins as none of the others does.
    assert_ne!(eval(&(&stack.layers[0].linear1.weight * 1.0)), vec![0.0; 32]);
    let decoders = TransformerDecoder::new(&TransformerDecoderLayer::new(4, 2).dim_feedforward(8), 2);
    let ids: HashSet<u64> = decoders.parameters().iter().map(|(_, param)| param.state().id()).collect();
    assert_eq!((decoders.parameters().len(), ids.len()), (36, 36));
}

#[test]
fn batch_norm_remembers_the_batches_and_uses_them_in_evaluation() {
    let layer = BatchNorm::new(1).momentum(0.5);
    let mut memory = Memory::default();
    let (mut mean, mut variance) = (0.0, 1.0);
    for batch in [[1.0f32, 3.0, 5.0], [2.0, 2.0, 8.0]] {
        let mode = Mode::train();
        let _ = layer.forward(&Tensor::new(&batch, [3, 1]), &mode);
        memory.run(&mode.take_updates()).unwrap();
        let average = f64::from(batch.iter().sum::<f32>()) / 3.0;
        let squares: f64 = batch.iter().map(|&v| (f64::from(v) - average).powi(2)).sum();
        (mean, variance) = (mean * 0.5 + average * 0.5, variance * 0.5 + squares / 2.0 * 0.5);
        assert_close(&memory.value(layer.running_mean.as_ref().unwrap()), &[mean], 1e-12);
        assert_close(&memory.value(layer.running_var.as_ref().unwrap()), &[variance], 1e-12);
    }
    // Nothing is noted in evaluation, and no gradient flows from the averages to the batch.
    let mode = Mode::eval();
    let found = call(&[reals([2, 1], &[4.0, -2.0])], |x| {
        let y = layer.forward(&x[0], &mode);
        let gradient = grad(&y.square().sum(), &[&x[0]]).remove(0);
        vec![y, gradient]
    })
    .unwrap();
    let scale = 1.0 / 1.00001f64.sqrt();
    assert_close(&found[0], &[4.0 * scale, -2.0 * scale], 1e-9);
    assert_close(&found[1], &[8.0 * scale * scale, -4.0 * scale * scale], 1e-9);
    assert!(mode.take_updates().is_empty());
}

#[test]
fn normalisation_keeps_its_digits_far_from_zero() {
    // Deviations of 1 around 4096: f32 has 11 bits left for them, and E[x^2] - E[x]^2 would have none.
    let x = reals([4, 1], &[4095.0, 4096.0, 4097.0, 4096.5]);
    let centred = [-1.125, -0.125, 0.875, 0.375].map(|v: f64| v * v).iter().sum::<f64>() / 4.0;
    let wanted = -1.125 / (centred + 1e-5).sqrt();
    let layers: [&dyn Module; 2] =
        [&BatchNorm::new(1).without_affine(), &Sequential::new().then(|x: &Tensor| x.t()).then(LayerNorm::new([4]).without_affine())];
    for layer in layers {
        let found = rounded(std::slice::from_ref(&x), &|x| layer.forward(&x[0], &Mode::train()).flatten(0, 1).select(0, 0));
        assert!((found / wanted - 1.0).abs() < 1e-6, "{found} is not {wanted}");
    }
}

#[test]
fn attention_of_huge_scores_and_closed_rows_has_no_nan() {
    let (q, k) = (reals([2, 1], &[1e4, -1e4]), reals([2, 1], &[1e4, -1e4]));
    let v = reals([2, 1], &[3.0, 5.0]);
    let run = |mask: &AttentionMask| {
        call(&[q.clone(), k.clone(), v.clone()], |x| {
            let y = scaled_dot_product_attention(&x[0], &x[1], &x[2], mask);
            [vec![y.clone()], grad(&y.sum(), &[&x[0], &x[1], &x[2]])].concat()
        })
        .unwrap()
    };
    assert_eq!(run(&AttentionMask::none()), [[3.0, 5.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]);
    // Minus infinity closes, and what is closed to the second query altogether gives zeros and no gradient.
    let closed = Tensor::from([[f32::NEG_INFINITY, 0.0], [f32::NEG_INFINITY, f32::NEG_INFINITY]]);
    assert_eq!(run(&AttentionMask::none().added(&closed)), [[5.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]);
    // Conditions hold together.
    let open = Tensor::from([[1u32, 1], [0, 1]]).to(DType::Bool);
    let padding = Tensor::from([0u32, 1]).to(DType::Bool);
    let all = AttentionMask::causal().allowed(&open).padding(&padding);
    assert_eq!(run(&all)[0], [3.0, 0.0]);
}

#[test]
fn encodings_are_their_formulas() {
    let found = eval(&sinusoidal_encoding(3, 5));
    for (t, row) in found.chunks(5).enumerate() {
        let t = t as f64;
        let slow = t / 10_000f64.powf(2.0 / 5.0);
        let slower = t / 10_000f64.powf(4.0 / 5.0);
        assert_close(row, &[t.sin(), t.cos(), slow.sin(), slow.cos(), slower.sin()], 1e-7);
    }
    // A product of two turned vectors depends on their distance only.
    let (q, k) = (Tensor::from([0.3f32, -1.2, 0.7, 2.0]), Tensor::from([1.1f32, 0.4, -0.6, 0.9]));
    let row = |v: &Tensor| rotary(&v.unsqueeze(0).expand([6, 4]), 100.0);
    let products = eval(&row(&q).matmul(&row(&k).t()));
    for i in 0..6 {
        for j in 0..6 {
            let other = if i >= j { (i - j) * 6 } else { j - i };
            assert!((products[i * 6 + j] - products[other]).abs() < 1e-6, "{i} {j}");
        }
    }
    assert!((products[0] - 1.23).abs() < 1e-6, "{}", products[0]);
    assert!((products[0] - products[1]).abs() > 0.1);
    // Turned by one step: the first pair by 1 radian, the second by 1/10.
    let turned = eval(&row(&q).select(0, 1));
    let pair = |a: f64, b: f64, angle: f64| [a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()];
    let ([a, c], [b, d]) = (pair(0.3, 0.7, 1.0), pair(-1.2, 2.0, 0.1));
    assert_close(&turned, &[a, b, c, d], 1e-6);
}

#[test]
fn final_states_are_the_last_values_of_each_direction() {
    let x = Tensor::new(&(0..12).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>(), [2, 3, 2]);
    let layer = Gru::new(2, 2).num_layers(2).bidirectional();
    let (y, h) = layer.run(&x, None, &Mode::eval());
    assert_eq!((&y.shape()[..], &h.shape()[..]), (&[2, 3, 4][..], &[4, 2, 2][..]));
    assert_eq!(eval(&h.select(0, 2)), eval(&y.select(1, 2).slice(-1, ..2)));
    assert_eq!(eval(&h.select(0, 3)), eval(&y.select(1, 0).slice(-1, 2..)));
    // Two halves of a sequence, the second from where the first ended, are the whole.
    let layer = Lstm::new(2, 3).num_layers(2);
    let mode = Mode::eval();
    let (whole, (h, c)) = layer.run(&x, None, &mode);
    let (_, (h1, c1)) = layer.run(&x.slice(1, ..2), None, &mode);
    let (rest, (h2, c2)) = layer.run(&x.slice(1, 2..), Some((&h1, &c1)), &mode);
    assert_close(&eval(&rest), &eval(&whole.slice(1, 2..)), 1e-14);
    assert_close(&eval(&h2), &eval(&h), 1e-14);
    assert_close(&eval(&c2), &eval(&c), 1e-14);
}

#[test]
fn ties_in_a_window_share_the_gradient() {
    let x = reals([1, 1, 5], &[2.0, 2.0, 1.0, 3.0, 3.0]);
    let (y, g) = with_gradient(&x, |x| x.max_pool1d(noyau_tensor::PoolOptions::new(3).stride(1)));
    assert_eq!((y, g), (vec![2.0, 3.0, 3.0], vec![0.5, 0.5, 0.0, 1.5, 0.5]));
    // What was padded is never the largest, and means of it count or do not.
    let x = reals([1, 1, 2], &[-4.0, -2.0]);
    let padded = noyau_tensor::PoolOptions::new(2).padding(1);
    assert_eq!(with_gradient(&x, |x| x.max_pool1d(&padded)), (vec![-4.0, -2.0], vec![1.0, 1.0]));
    assert_eq!(with_gradient(&x, |x| x.avg_pool1d(&padded)), (vec![-2.0, -1.0], vec![0.5, 0.5]));
    let real = padded.clone().count_include_pad(false);
    assert_eq!(with_gradient(&x, |x| x.avg_pool1d(&real)), (vec![-4.0, -2.0], vec![1.0, 1.0]));
}

#[test]
fn every_layer_fits_into_a_sequence_of_layers() {
    let model = Sequential::new()
        .then(Unflatten::new(1, [1, 8, 8]))
        .then(Conv2d::new(1, 4, 3).padding(noyau_tensor::Padding::Same))
        .then(BatchNorm2d::new(4))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Residual(Sequential::new().then(Conv2d::new(4, 4, 3).padding(1)).then(GroupNorm::new(2, 4)).then(Gelu)))
        .then(Upsample::new(2))
        .then(AdaptiveAvgPool2d::new([4, 1]))
        .then(|x: &Tensor| x.squeeze(-1).transpose(1, 2))
        .then(Lstm::new(4, 6).bidirectional())
        .then(SinusoidalEncoding)
        .then(TransformerEncoderLayer::new(12, 3).dim_feedforward(5))
        .then(|x: &Tensor| x.mean_axes(&[1]))
        .then(LayerNorm::new([12]))
        .then(Linear::new(12, 3));
    let mode = Mode::train();
    let y = model.forward(&Tensor::ones([2, 64]), &mode);
    assert!(y.error().is_none(), "{y:?}");
    assert_eq!(y.shape()[..], [2, 3]);
    assert_eq!(mode.take_updates().len(), 2);
    assert_eq!(model.buffers().iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["2.running_mean", "2.running_var"]);
    let parameters = model.parameters();
    assert!(parameters.iter().any(|(name, _)| name == "5.0.weight") && parameters.iter().any(|(name, _)| name == "9.weight_hh_l0_reverse"));
    // Every parameter has a gradient.
    let wrt: Vec<&Tensor> = parameters.iter().map(|(_, param)| param.tensor()).collect();
    for (gradient, (name, param)) in grad(&y.square().sum(), &wrt).iter().zip(&parameters) {
        assert!(gradient.error().is_none(), "{name}: {gradient:?}");
        assert_eq!(gradient.shape(), param.shape(), "{name}");
    }
}
