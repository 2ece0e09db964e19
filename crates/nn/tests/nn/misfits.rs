//! What the layers say about input and options that do not fit.

use noyau_nn::*;
use noyau_tensor::{DType, Padding, Tensor};

use crate::oracle::message;

/// Checks that the layer's result for input of this shape is an error with all parts in its message, which names this file where it names one.
#[track_caller]
fn says(layer: &dyn Module, shape: &[usize], parts: &[&str]) {
    let found = message(&layer.forward(&Tensor::zeros(shape), &Mode::train()));
    for part in parts {
        assert!(found.contains(part), "`{found}` does not say `{part}`");
    }
    assert!(!found.contains("crates/nn/src"), "`{found}` names a line of the library");
}

#[test]
fn of_normalisation() {
    says(&BatchNorm::new(3), &[2, 4], &["BatchNorm", "takes 3 channels", "[2, 4] has 4 on axis 1"]);
    says(&BatchNorm::new(3), &[3], &["has 1 axes", "[batch, channels, ..]"]);
    says(&BatchNorm::new(3), &[1, 3], &["[1, 3] has 1 values a channel", "at least 2"]);
    says(&BatchNorm::new(3).momentum(1.5), &[2, 3], &["BatchNorm: momentum", "1.5 does not lie in 0..=1"]);
    says(&BatchNorm::new(3).momentum(f64::NAN), &[2, 3], &["NaN does not lie"]);
    says(&BatchNorm::new(3).eps(-1.0), &[2, 3], &["BatchNorm: eps", "-1 is negative"]);
    says(&BatchNorm::new(usize::MAX), &[2, 3], &["more elements than can be addressed"]);
    // In evaluation one value is enough.
    assert!(BatchNorm::new(3).forward(&Tensor::zeros([1, 3]), &Mode::eval()).error().is_none());
    says(&LayerNorm::new([3, 4]), &[2, 4], &["LayerNorm", "of shape [3, 4]", "[2, 4] does not end with it"]);
    says(&LayerNorm::new([0]), &[2, 0], &["normalised shape [0]"]);
    says(&LayerNorm::new([] as [usize; 0]), &[2], &["normalised shape []"]);
    says(&LayerNorm::new([4]).eps(f64::INFINITY), &[2, 4], &["LayerNorm: eps", "not a finite number"]);
    says(&RmsNorm::new([4]), &[4, 3], &["RmsNorm", "does not end with it"]);
    says(&GroupNorm::new(3, 4), &[2, 4], &["4 channels do not divide into 3 groups"]);
    says(&GroupNorm::new(0, 4), &[2, 4], &["4 channels do not divide into 0 groups"]);
    says(&GroupNorm::new(2, 4), &[2, 6], &["takes 4 channels", "has 6 on axis 1"]);
    says(&InstanceNorm::new(4), &[2, 4], &["has 2 axes", "at least 3"]);
    says(&InstanceNorm::new(4), &[2, 4, 1], &["has 1 values a channel"]);
}

#[test]
fn of_attention() {
    let mode = Mode::train();
    let none = AttentionMask::none();
    let t = |shape: &[usize]| Tensor::zeros(shape);
    let attend = |q: &[usize], k: &[usize], v: &[usize]| message(&scaled_dot_product_attention(&t(q), &t(k), &t(v), &none));
    assert!(attend(&[2, 3], &[2, 4], &[2, 4]).contains("queries of 3 features and keys of 4 have no product"));
    assert!(attend(&[2, 3], &[2, 3], &[4, 3]).contains("2 keys and 4 values"));
    assert!(attend(&[3], &[2, 3], &[2, 3]).contains("at least two axes"));
    assert!(attend(&[2, 2, 3], &[3, 2, 3], &[3, 2, 3]).contains("do not broadcast"));
    assert!(message(&scaled_dot_product_attention(&Tensor::arange(4), &t(&[2, 2]), &t(&[2, 2]), &none)).contains("not f32"));
    let masked = |mask: AttentionMask| message(&scaled_dot_product_attention(&t(&[2, 3]), &t(&[4, 3]), &t(&[4, 3]), &mask));
    let bools = |shape: &[usize]| Tensor::zeros(shape).to(DType::Bool);
    let found = masked(AttentionMask::none().allowed(&bools(&[3, 4])));
    assert!(found.contains("a mask [3, 4] does not broadcast against the scores [2, 4]"), "{found}");
    assert!(masked(AttentionMask::none().allowed(&t(&[2, 4]))).contains("the mask is f32[2, 4], not bool"));
    assert!(masked(AttentionMask::none().forbidden(&t(&[2, 4]))).contains("AttentionMask::forbidden"));
    assert!(masked(AttentionMask::none().padding(&t(&[4]))).contains("AttentionMask::padding"));
    assert!(masked(AttentionMask::none().padding(&bools(&[3]))).contains("does not broadcast"));
    assert!(masked(AttentionMask::none().added(&bools(&[2, 4]))).contains("the mask is bool[2, 4], not f32"));
    assert!(masked(AttentionMask::none().added(&t(&[2, 5]))).contains("does not broadcast"));
    // A mask that would make more scores than there are.
    assert!(masked(AttentionMask::none().allowed(&bools(&[5, 2, 4]))).contains("does not broadcast"));

    says(&MultiHeadAttention::new(6, 4), &[1, 2, 6], &["MultiHeadAttention", "6 features do not divide into 4 heads"]);
    says(&MultiHeadAttention::new(6, 0), &[1, 2, 6], &["0 heads"]);
    says(&MultiHeadAttention::new(6, 2), &[1, 2, 5], &["the query is [1, 2, 5]", "with 6 features"]);
    says(&MultiHeadAttention::new(6, 2), &[6], &["the query is [6]"]);
    says(&MultiHeadAttention::new(6, 2).dropout(2.0), &[1, 2, 6], &["the probability 2"]);
    says(&MultiHeadAttention::new(6, 2).rotary(1e4), &[1, 2, 6], &["rotary", "3 features", "even"]);
    says(&MultiHeadAttention::new(4, 2).rotary(0.0), &[1, 2, 4], &["rotary: base", "0 is not a positive number"]);
    says(&MultiHeadAttention::new(usize::MAX, 1), &[1, 2, 4], &["more elements than can be addressed"]);
    let cross = MultiHeadAttention::new(4, 2).kdim(3);
    let found = message(&cross.run(&t(&[2, 4]), &t(&[2, 4]), &t(&[2, 4]), &none, &mode).0);
    assert!(found.contains("the key is [2, 4]") && found.contains("with 3 features"), "{found}");
    let mut odd = MultiHeadAttention::new(4, 2);
    odd.in_proj_weight.clear();
    says(&odd, &[1, 2, 4], &["replaced"]);
    says(&SinusoidalEncoding, &[4], &["no axes [.., time, features]"]);
    says(&LearnedEncoding::new(3, 4), &[1, 5, 4], &["[3, 4]", "[1, 5, 4] does not fit"]);
    says(&LearnedEncoding::new(3, 4), &[1, 3, 5], &["does not fit"]);
    assert!(message(&layers::sinusoidal_encoding(usize::MAX, 2)).contains("more than a constant may hold"));
}

#[test]
fn of_transformers() {
    says(&TransformerEncoderLayer::new(6, 4), &[1, 2, 6], &["6 features do not divide into 4 heads"]);
    says(&TransformerEncoderLayer::new(4, 2), &[1, 2, 6], &["the query is [1, 2, 6]"]);
    says(&TransformerEncoderLayer::new(4, 2).norm_first(), &[1, 2, 6], &["LayerNorm", "does not end with it"]);
    says(&TransformerEncoderLayer::new(4, 2).dropout(-1.0), &[1, 2, 4], &["the probability -1"]);
    says(&TransformerDecoderLayer::new(4, 2), &[1, 2, 4], &["TransformerDecoderLayer", "run(x, memory"]);
    says(&TransformerDecoder::new(&TransformerDecoderLayer::new(4, 2), 2), &[1, 2, 4], &["TransformerDecoder", "run(x, memory"]);
    let layer = TransformerDecoderLayer::new(4, 2);
    let none = AttentionMask::none();
    let found = message(&layer.run(&Tensor::zeros([1, 2, 4]), &Tensor::zeros([1, 2, 5]), &none, &none, &Mode::eval()));
    assert!(found.contains("the key is [1, 2, 5]"), "{found}");
}

#[test]
fn of_recurrence() {
    says(&Rnn::new(2, 3), &[4, 5, 3], &["Rnn", "takes 2 features", "[4, 5, 3] has 3"]);
    says(&Lstm::new(2, 3), &[5, 2], &["Lstm", "[5, 2] is not [batch, time, features]"]);
    says(&Gru::new(2, 3), &[4, 0, 2], &["Gru", "no time steps"]);
    says(&Gru::new(2, 3).num_layers(0), &[4, 1, 2], &["0 layers of 3 hidden features"]);
    says(&Gru::new(2, 0), &[4, 1, 2], &["1 layers of 0 hidden features"]);
    says(&Rnn::new(usize::MAX, 3), &[4, 5, 3], &["more elements than can be addressed"]);
    says(&Rnn::new(2, usize::MAX), &[4, 5, 3], &["more elements than can be addressed"]);
    says(&Lstm::new(2, 3).num_layers(2).dropout(1.5), &[4, 2, 2], &["the probability 1.5"]);
    says(&Lstm::new(2, 3).init("weight_xx", init::zeros()), &[4, 2, 2], &["no parameter's name begins with `weight_xx`"]);
    let x = Tensor::zeros([4, 2, 2]);
    let state = Tensor::zeros([1, 4, 2]);
    let (y, h) = Gru::new(2, 3).run(&x, Some(&state), &Mode::eval());
    for found in [message(&y), message(&h)] {
        assert!(found.contains("an initial state is f32[1, 4, 2], not f32[1, 4, 3] [layers * directions, batch, hidden]"), "{found}");
    }
    let good = Tensor::zeros([1, 4, 3]);
    let (y, (h, c)) = Lstm::new(2, 3).run(&x, Some((&good, &state)), &Mode::eval());
    for found in [&y, &h, &c] {
        assert!(message(found).contains("[1, 4, 2], not f32[1, 4, 3]"));
    }
    let mut odd = Rnn::new(2, 3);
    *odd.parameters_mut().remove(1).1 = noyau_tensor::Param::new("w", [3, 2], init::zeros());
    says(&odd, &[4, 2, 2], &["`w` has been replaced by one of shape [3, 2]"]);
}

#[test]
fn of_convolution() {
    says(&Conv2d::new(3, 4, 3), &[2, 4, 8, 8], &["Conv2d", "takes 3 channels", "has 4 on axis 1"]);
    says(&Conv2d::new(3, 4, 3), &[2, 3, 8], &["has 3 axes, not 4: [batch, channels, height, width]"]);
    says(&Conv1d::new(3, 4, 3), &[2, 3, 8, 8], &["has 4 axes, not 3: [batch, channels, length]"]);
    says(&Conv2d::new(3, 4, 3), &[2, 3, 2, 8], &["conv2d", "does not fit"]);
    says(&Conv2d::new(3, 4, 3).groups(2), &[2, 3, 8, 8], &["3 channels in and 4 out do not both divide into 2 groups"]);
    says(&Conv2d::new(4, 4, 3).groups(0), &[2, 4, 8, 8], &["into 0 groups"]);
    says(&Conv2d::new(3, 4, [3, 3, 3]), &[2, 3, 8, 8], &["kernel [3, 3, 3] has 3 numbers for 2 spatial axes"]);
    says(&Conv2d::new(3, 4, 0), &[2, 3, 8, 8], &["[0, 0] has no elements"]);
    says(&Conv2d::new(3, 4, 3).stride(0), &[2, 3, 8, 8], &["stride [0, 0]"]);
    says(&Conv2d::new(3, 4, 3).stride([1]), &[2, 3, 8, 8], &["stride [1] has 1 numbers for 2 spatial axes"]);
    says(&Conv2d::new(3, 4, 3).padding(Padding::Same).stride(2), &[2, 3, 8, 8], &["padding \"same\" needs stride 1, not [2, 2]"]);
    let reflect = Conv2d::new(3, 4, 3).padding_mode(PaddingMode::Reflect);
    says(&reflect.clone().padding(Padding::Same).stride(2), &[2, 3, 8, 8], &["padding \"same\" needs stride 1, not [2, 2]"]);
    says(&reflect.padding(9), &[2, 3, 8, 8], &["pad_reflect", "9 elements"]);
    says(&Conv1d::new(usize::MAX, 2, 3), &[2, 3, 8], &["more elements than can be addressed"]);
    says(&ConvTranspose2d::new(3, 4, 3).output_padding(1), &[2, 3, 8, 8], &["conv_transpose2d", "output_padding 1 must be smaller"]);
    says(&ConvTranspose1d::new(3, 4, 3), &[2, 4, 8], &["takes 3 channels"]);
    // A mistake that options take back is none.
    assert!(Conv2d::new(4, 4, 3).groups(3).groups(2).forward(&Tensor::zeros([1, 4, 3, 3]), &Mode::eval()).error().is_none());
    let mut odd = Conv1d::new(3, 4, 3);
    odd.weight = noyau_tensor::Param::new("w", [4], init::zeros());
    says(&odd, &[2, 3, 8], &["replaced"]);
}

#[test]
fn of_pooling_and_padding() {
    says(&MaxPool2d::new(2), &[2, 3, 8], &["max_pool2d", "[2, 3, 8] has rank 3, not 4"]);
    says(&MaxPool2d::new(2).padding(2), &[2, 3, 8, 8], &["padding 2 is more than half a window of 2"]);
    says(&MaxPool2d::new(9), &[2, 3, 8, 8], &["a window of 9 does not fit into an axis of 8, padded to 8"]);
    says(&MaxPool1d::new(2).stride(0), &[2, 3, 8], &["stride 0"]);
    says(&MaxPool1d::new(0), &[2, 3, 8], &["kernel 0"]);
    says(&MaxPool2d::new([2, 2, 2]), &[2, 3, 8, 8], &["kernel [2, 2, 2] has 3 numbers"]);
    says(&MaxPool1d::new(2).dilation(usize::MAX), &[2, 3, 8], &["does not fit"]);
    says(&AvgPool1d::new(noyau_tensor::PoolOptions::new(2).dilation(2)), &[2, 3, 8], &["avg_pool1d", "dilation 2"]);
    says(&AdaptiveAvgPool2d::new(0), &[2, 3, 8, 8], &["[0, 0] windows"]);
    says(&AdaptiveMaxPool1d::new(2), &[2, 3, 0], &["something in it"]);
    says(&AdaptiveMaxPool1d::new([2, 2]), &[2, 3, 4], &["size [2, 2] has 2 numbers for 1 spatial axes"]);
    says(&GlobalAvgPool, &[2, 3], &["GlobalAvgPool", "[2, 3]"]);
    says(&GlobalMaxPool, &[2, 3, 0], &["GlobalMaxPool", "[2, 3, 0]"]);
    assert!(message(&Tensor::arange(8).reshape([1, 1, 8]).max_pool1d(2)).contains("needs f32, got u32"));
    says(&ZeroPad2d::new([1, 2]), &[1, 1, 2, 2], &["[1, 2] are 2 widths", "4 in the order [left, right, top, bottom]"]);
    says(&ReflectionPad2d::new(2), &[1, 1, 2, 2], &["pad_reflect", "more than axis"]);
    says(&ZeroPad2d::new(1), &[2], &["has 1 axes; 2 are padded"]);
    says(&Unflatten::new(1, [2, 3]), &[2, 5], &["unflatten"]);
    says(&Upsample::new(2), &[2, 5], &["not [batch, channels, d1, ..]"]);
    says(&Upsample::new([2, 2]), &[2, 5, 3], &["scale [2, 2] has 2 numbers for 1 spatial axes"]);
    says(&Upsample::new(2).linear(), &[1, 1, 2, 2, 2], &["3 spatial axes"]);
    says(&Residual(Linear::new(3, 2)), &[4, 3], &["Residual", "[4, 3]", "[4, 2]"]);
}

#[test]
fn a_mistake_passes_through_every_layer() {
    let mistake = Tensor::zeros([2]).reshape([3]);
    let layers: Vec<Box<dyn Module>> = vec![
        Box::new(BatchNorm::new(2)),
        Box::new(LayerNorm::new([2])),
        Box::new(RmsNorm::new([2])),
        Box::new(GroupNorm::new(1, 2)),
        Box::new(InstanceNorm::new(2)),
        Box::new(MultiHeadAttention::new(2, 1)),
        Box::new(SinusoidalEncoding),
        Box::new(LearnedEncoding::new(2, 2)),
        Box::new(TransformerEncoderLayer::new(2, 1)),
        Box::new(TransformerEncoderLayer::new(2, 1).norm_first()),
        Box::new(TransformerDecoderLayer::new(2, 1)),
        Box::new(Lstm::new(2, 2)),
        Box::new(Conv1d::new(2, 2, 1)),
        Box::new(ConvTranspose2d::new(2, 2, 1)),
        Box::new(MaxPool2d::new(1)),
        Box::new(AvgPool1d::new(1)),
        Box::new(AdaptiveAvgPool2d::new(1)),
        Box::new(GlobalAvgPool),
        Box::new(ReplicationPad1d::new(1)),
        Box::new(Unflatten::new(0, [1, 2])),
        Box::new(Upsample::new(1)),
        Box::new(Residual(Relu)),
    ];
    for (i, layer) in layers.iter().enumerate() {
        assert_eq!(message(&layer.forward(&mistake, &Mode::train())), message(&mistake), "layer {i}");
    }
}

#[test]
fn a_layers_place_in_a_model_is_named() {
    let line = line!() + 1;
    let model = Sequential::new().then(Conv2d::new(1, 2, 3)).then(BatchNorm::new(3)).then(Relu);
    let found = message(&model.forward(&Tensor::zeros([2, 1, 5, 5]), &Mode::train()));
    let wanted = format!("layer 1: BatchNorm: the layer takes 3 channels; the input [2, 2, 3, 3] has 2 on axis 1 ({}:{line})", file!());
    assert_eq!(found, wanted);
}
