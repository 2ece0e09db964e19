//! Layers against PyTorch's: values, gradients and running statistics in f64, from a file that `tests/golden/layers.py` writes.

use std::collections::HashMap;

use noyau_compile::Graph;
use noyau_cpu::{Values, evaluate};
use noyau_nn::*;
use noyau_tensor::{DType, Param, Shape, Tensor, gradients};

use crate::oracle::assert_close;

/// A case's values by kind and name.
type Case = HashMap<(String, String), Values>;

fn cases() -> HashMap<String, Case> {
    let mut all: HashMap<String, Case> = HashMap::new();
    let mut current = String::new();
    for line in include_str!("../golden/layers.txt").lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        if let ["case", name] = words[..] {
            current = name.to_string();
            all.insert(current.clone(), Case::new());
            continue;
        }
        let sizes: Shape = words[2].split(',').filter(|d| *d != "-").map(|d| d.parse().unwrap()).collect();
        let data: Vec<f64> = words[3..].iter().map(|v| v.parse().unwrap()).collect();
        assert_eq!(sizes.numel(), data.len(), "{current}: {line}");
        let key = (words[0].to_string(), words[1].to_string());
        all.get_mut(&current).unwrap().insert(key, Values { shape: sizes, dtype: DType::F32, data });
    }
    all
}

/// The values of a kind, numbered from 0.
fn numbered(case: &Case, kind: &str) -> Vec<Values> {
    (0..).map_while(|i| case.get(&(kind.to_string(), i.to_string())).cloned()).collect()
}

fn names(case: &Case, kind: &str) -> Vec<String> {
    let mut names: Vec<String> = case.keys().filter(|(k, _)| k == kind).map(|(_, name)| name.clone()).collect();
    names.sort();
    names
}

/// Compares a layer with the case of the name. `run` gives the outputs for the inputs.
#[track_caller]
fn check(name: &str, layer: &dyn Module, mode: Mode, run: impl Fn(&[Tensor], &Mode) -> Vec<Tensor>) {
    let case = &cases()[name];
    let sorted = |values: &[(String, Param)]| {
        let mut names: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    let (parameters, buffers) = (layer.parameters(), layer.buffers());
    assert_eq!(sorted(&parameters), names(case, "param"), "{name}: parameters");
    assert_eq!(sorted(&buffers), names(case, "buffer"), "{name}: buffers");
    // States by id.
    let mut states = HashMap::new();
    for (kind, all) in [("param", &parameters), ("buffer", &buffers)] {
        for (path, param) in all {
            let value = case[&(kind.to_string(), path.clone())].clone();
            assert_eq!(&value.shape, param.shape(), "{name}: {path}");
            states.insert(param.state().id(), value);
        }
    }
    let arguments = numbered(case, "input");
    let inputs: Vec<Tensor> = arguments.iter().enumerate().map(|(i, v)| Tensor::input(i, &v.shape, v.dtype)).collect();
    let mut outputs = run(&inputs, &mode);
    let wanted = numbered(case, "output");
    assert_eq!(outputs.len(), wanted.len(), "{name}: outputs");
    // The loss whose gradients the file has.
    let mut loss = Tensor::zeros([]);
    for y in &outputs {
        assert!(y.error().is_none(), "{name}: {y:?}");
        let weights: Vec<f32> = (0..y.numel()).map(|i| 1.0 + 0.25 * (i % 7) as f32).collect();
        loss = loss + (y * Tensor::new(&weights, y.shape())).sum();
    }
    let wrt: Vec<&Tensor> = inputs.iter().chain(parameters.iter().map(|(_, param)| param.tensor())).collect();
    let kinds =
        (0..inputs.len()).map(|i| ("grad_input", i.to_string())).chain(parameters.iter().map(|(path, _)| ("grad_param", path.clone())));
    let mut expected: Vec<(String, Values)> = wanted.into_iter().enumerate().map(|(i, v)| (format!("output {i}"), v)).collect();
    for ((kind, path), gradient) in kinds.zip(gradients(&loss, &wrt).unwrap()) {
        let key = (kind.to_string(), path);
        match (case.get(&key), gradient) {
            (Some(value), Some(gradient)) => {
                outputs.push(gradient);
                expected.push((format!("{} {}", key.0, key.1), value.clone()));
            }
            (None, None) => {}
            (value, gradient) => panic!("{name}: {key:?} is {value:?} there and {gradient:?} here"),
        }
    }
    let updates = mode.take_updates();
    for (param, next) in &updates {
        let (path, _) = buffers.iter().find(|(_, b)| b.state().id() == param.state().id()).unwrap();
        outputs.push(next.clone());
        expected.push((format!("after {path}"), case[&("after".to_string(), path.clone())].clone()));
    }
    assert_eq!(updates.len(), names(case, "after").len(), "{name}: updates");
    let declared: Vec<_> = arguments.iter().map(|v| (v.shape.clone(), v.dtype)).collect();
    let graph = Graph::trace(&declared, &outputs.iter().collect::<Vec<_>>(), &[]).unwrap();
    let found = evaluate(&graph, &arguments, &|state| states[&state.id()].clone()).unwrap().outputs;
    for (found, (what, wanted)) in found.iter().zip(&expected) {
        assert_eq!(found.shape, wanted.shape, "{name}: {what}");
        println!("{name}: {what}");
        // The file has nine digits; sums of gradients that cancel have lost some.
        assert_close(&found.data, &wanted.data, 2e-8);
    }
}

/// A layer of one input in training.
#[track_caller]
fn train(name: &str, layer: impl Module) {
    check(name, &layer, Mode::train(), |x, mode| vec![layer.forward(&x[0], mode)]);
}

#[track_caller]
fn eval(name: &str, layer: impl Module) {
    check(name, &layer, Mode::eval(), |x, mode| vec![layer.forward(&x[0], mode)]);
}

/// A function without parameters.
#[track_caller]
fn function(name: &str, f: impl Fn(&[Tensor]) -> Tensor) {
    check(name, &Sequential::new(), Mode::train(), |x, _| vec![f(x)]);
}

fn padding() -> Tensor {
    Tensor::from([[0u32, 0, 1], [0, 0, 0]]).to(DType::Bool)
}

#[test]
fn normalisation() {
    train("batch_norm_train", BatchNorm::new(3));
    eval("batch_norm_eval", BatchNorm1d::new(3));
    train("batch_norm_2d_train", BatchNorm2d::new(2).momentum(0.3).eps(0.01));
    eval("batch_norm_2d_eval", BatchNorm2d::new(2));
    train("batch_norm_cumulative", BatchNorm::new(2).cumulative());
    eval("batch_norm_plain", BatchNorm::new(2).without_affine().without_running_stats());
    train("layer_norm", LayerNorm::new([4]));
    train("layer_norm_two_axes", LayerNorm::new([2, 3]).eps(0.1).without_bias());
    train("group_norm", GroupNorm::new(2, 4));
    train("group_norm_flat", GroupNorm::new(2, 4).without_affine());
    train("instance_norm", InstanceNorm::new(2).affine());
    train("instance_norm_plain", InstanceNorm::new(2));
    // PyTorch adds the eps of the input's type, f64 here.
    train("rms_norm", RmsNorm::new([4]).eps(f64::EPSILON));
    train("rms_norm_eps", RmsNorm::new([2, 2]).eps(0.3));
}

#[test]
fn attention() {
    let none = AttentionMask::none();
    function("attention", |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], &none));
    function("attention_causal", |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::causal()));
    let open = Tensor::from([[1u32, 0, 1], [0, 0, 0]]).to(DType::Bool);
    function("attention_masked", |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::none().allowed(&open)));
    let closed = open.logical_not();
    function("attention_masked", |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::none().forbidden(&closed)));
    function("attention_added", |x| scaled_dot_product_attention(&x[0], &x[1], &x[2], &AttentionMask::none().added(&x[3])));

    let both = |(y, weights): (Tensor, Tensor)| vec![y, weights];
    let layer = MultiHeadAttention::new(4, 2);
    check("mha_self", &layer, Mode::train(), |x, mode| both(layer.run(&x[0], &x[0], &x[0], &none, mode)));
    // Not the same tensor, so three products instead of one.
    check("mha_self", &layer, Mode::train(), |x, mode| both(layer.run(&x[0], &(&x[0] * 1.0), &x[0], &none, mode)));
    let cross = MultiHeadAttention::new(4, 2).kdim(3).vdim(2);
    let mask = AttentionMask::none().padding(&padding());
    check("mha_cross", &cross, Mode::train(), |x, mode| both(cross.run(&x[0], &x[1], &x[2], &mask, mode)));
    let bare = MultiHeadAttention::new(4, 2).without_bias();
    check("mha_memory", &bare, Mode::eval(), |x, mode| vec![bare.run(&x[0], &x[1], &x[1], &none, mode).0]);
    let causal = MultiHeadAttention::new(4, 2).causal();
    check("mha_masked", &causal, Mode::train(), |x, mode| both(causal.run(&x[0], &x[0], &x[0], &mask, mode)));
}

#[test]
fn transformers() {
    train("encoder_layer", TransformerEncoderLayer::new(4, 2).dim_feedforward(3).dropout(0.0));
    let layer = TransformerEncoderLayer::new(4, 1).dim_feedforward(3).dropout(0.0).activation(Gelu).norm_first().without_bias();
    let mask = AttentionMask::causal().padding(&padding());
    check("encoder_layer_norm_first", &layer, Mode::train(), |x, mode| vec![layer.run(&x[0], &mask, mode)]);
    let causal = layer.clone().causal();
    let mask = AttentionMask::none().padding(&padding());
    check("encoder_layer_norm_first", &causal, Mode::train(), |x, mode| vec![causal.run(&x[0], &mask, mode)]);
    // In evaluation dropout does nothing, whatever its probability.
    let two = TransformerEncoder::new(&TransformerEncoderLayer::new(2, 1).dim_feedforward(3).dropout(0.5), 2).norm(LayerNorm::new([2]));
    eval("encoder", two);

    let layer = TransformerDecoderLayer::new(4, 2).dim_feedforward(3).dropout(0.0);
    let none = AttentionMask::none();
    check("decoder_layer", &layer, Mode::train(), |x, mode| vec![layer.run(&x[0], &x[1], &none, &mask, mode)]);
    let layer = TransformerDecoderLayer::new(2, 1).dim_feedforward(3).dropout(0.0).norm_first();
    let two = TransformerDecoder::new(&layer.not_causal(), 2).norm(LayerNorm::new([2]));
    check("decoder_norm_first", &two, Mode::train(), |x, mode| vec![two.run(&x[0], &x[1], &AttentionMask::causal(), &none, mode)]);
}

#[test]
fn recurrence() {
    let rnn = Rnn::new(2, 3);
    let pair = |(y, h): (Tensor, Tensor)| vec![y, h];
    check("rnn", &rnn, Mode::train(), |x, mode| pair(rnn.run(&x[0], None, mode)));
    let relu = Rnn::new(2, 3).num_layers(2).relu().without_bias();
    check("rnn_relu", &relu, Mode::train(), |x, mode| pair(relu.run(&x[0], Some(&x[1]), mode)));
    let three = |(y, (h, c)): (Tensor, (Tensor, Tensor))| vec![y, h, c];
    let lstm = Lstm::new(2, 3);
    check("lstm", &lstm, Mode::train(), |x, mode| three(lstm.run(&x[0], None, mode)));
    let deep = Lstm::new(2, 2).num_layers(2).bidirectional();
    check("lstm_deep", &deep, Mode::train(), |x, mode| three(deep.run(&x[0], Some((&x[1], &x[2])), mode)));
    let gru = Gru::new(2, 3);
    check("gru", &gru, Mode::train(), |x, mode| pair(gru.run(&x[0], Some(&x[1]), mode)));
    let deep = Gru::new(2, 2).num_layers(2).bidirectional().without_bias();
    check("gru_deep", &deep, Mode::train(), |x, mode| pair(deep.run(&x[0], None, mode)));
}

#[test]
fn convolution() {
    use noyau_tensor::Padding::Same;
    train("conv1d", Conv1d::new(2, 4, 3).stride(2).padding(1).groups(2));
    train("conv1d_same", Conv1d::new(1, 2, 4).padding(Same).dilation(2).without_bias());
    train("conv2d", Conv2d::new(2, 3, [2, 3]).stride([2, 1]).padding([1, 2]).dilation([1, 2]));
    train("conv2d_depthwise", Conv2d::new(2, 2, 3).padding(Same).groups(2));
    train("conv_transpose1d", ConvTranspose1d::new(2, 3, 3).stride(2).padding(1).output_padding(1));
    train("conv_transpose2d", ConvTranspose2d::new(2, 4, [2, 3]).stride([2, 3]).padding([0, 1]).dilation([2, 1]).groups(2));
}

#[test]
fn padding_modes() {
    use PaddingMode::{Circular, Reflect, Replicate};
    for (name, mode) in [("reflect", Reflect), ("replicate", Replicate), ("circular", Circular)] {
        train(&format!("conv1d_{name}"), Conv1d::new(1, 2, 3).padding(2).padding_mode(mode));
        train(&format!("conv2d_{name}"), Conv2d::new(1, 1, [3, 2]).padding(noyau_tensor::Padding::Same).padding_mode(mode));
    }
    train("zero_pad2d", ZeroPad2d::new([1, 2, 0, 1]));
    train("reflection_pad2d", ReflectionPad2d::new([1, 2, 0, 1]));
    train("replication_pad2d", ReplicationPad2d::new([1, 2, 3, 1]));
    train("circular_pad2d", CircularPad2d::new([1, 2, 0, 1]));
}

#[test]
fn resizing() {
    train("upsample_nearest", Upsample::new(2));
    train("upsample_nearest_size", Upsample::to_size([5, 4]));
    train("upsample_bilinear", Upsample::new(2).linear());
    train("upsample_bilinear_corners", Upsample::to_size([9, 5]).align_corners());
}

#[test]
fn pooling() {
    train("max_pool1d", MaxPool1d::new(2));
    train("max_pool1d_ceil", MaxPool1d::new(2).ceil_mode(true));
    train("max_pool2d", MaxPool2d::new([3, 2]).stride([1, 2]).padding(1));
    train("max_pool2d_dilated", MaxPool2d::new(2).stride(2).padding(1).dilation(2).ceil_mode(true));
    train("avg_pool1d", AvgPool1d::new(2));
    train("avg_pool1d_ceil", AvgPool1d::new(3).stride(2).padding(1).ceil_mode(true));
    train("avg_pool2d", AvgPool2d::new(3).stride(2).padding(1));
    train("avg_pool2d_ceil", AvgPool2d::new([2, 3]).stride([3, 2]).padding([1, 1]).ceil_mode(true));
    train("avg_pool2d_exclusive", AvgPool2d::new([2, 3]).stride(2).padding(1).ceil_mode(true).count_include_pad(false));
    train("adaptive_avg_pool1d", AdaptiveAvgPool1d::new(3));
    train("adaptive_avg_pool2d", AdaptiveAvgPool2d::new([3, 2]));
    train("adaptive_avg_pool2d_larger", AdaptiveAvgPool2d::new(5));
    train("adaptive_avg_pool2d_even", AdaptiveAvgPool2d::new([2, 1]));
    train("adaptive_max_pool1d", AdaptiveMaxPool1d::new(3));
    train("adaptive_max_pool2d", AdaptiveMaxPool2d::new([3, 2]));
}

#[test]
#[should_panic(expected = "differ by")]
fn a_wrong_layer_is_noticed() {
    train("layer_norm", LayerNorm::new([4]).eps(1e-4));
}
