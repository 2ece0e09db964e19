//! The layers of `noyau::nn`, in training and in evaluation, with gradients by input and parameters.

use noyau::nn::layers::{rotary, sinusoidal_encoding};
use noyau::nn::*;
use noyau::tensor::{Padding::Same, concat};
use noyau::{DType, Param, Tensor};

use super::{Class::*, Data, List};

/// Puts parameters with values of the case in the place of a layer's own.
fn fill<'a>(d: &mut Data, params: impl IntoIterator<Item = &'a mut Param>) {
    for param in params {
        let _ = d.range(param.shape(), -0.8, 0.8);
        *param = d.params().last().expect("one was made just now").clone();
    }
}

/// The same for values that must be positive.
fn fill_positive<'a>(d: &mut Data, params: impl IntoIterator<Item = &'a mut Param>) {
    for param in params {
        let _ = d.positive(param.shape());
        *param = d.params().last().expect("one was made just now").clone();
    }
}

fn linear(d: &mut Data, layer: &mut Linear) {
    fill(d, std::iter::once(&mut layer.weight).chain(&mut layer.bias));
}

/// The values that a training step writes: the next running averages.
fn updates(mode: &Mode) -> Tensor {
    let next: Vec<Tensor> = mode.take_updates().into_iter().map(|(_, next)| next.reshape([next.numel()])).collect();
    concat(&next.iter().collect::<Vec<_>>(), 0)
}

pub fn cases(list: &mut List) {
    normalisation(list);
    attention(list);
    transformers(list);
    recurrence(list);
    convolution(list);
    pooling(list);
    moved(list);
    composed(list);
}

fn batch_norm(d: &mut Data, mut layer: BatchNorm) -> BatchNorm {
    fill(d, layer.weight.iter_mut().chain(&mut layer.bias).chain(&mut layer.running_mean));
    fill_positive(d, &mut layer.running_var);
    layer
}

fn normalisation(list: &mut List) {
    list.smooth("layer: batch norm of vectors, training", Chain, |d| {
        batch_norm(d, BatchNorm::new(3)).forward(&d.floats([5, 3]), &Mode::train())
    });
    list.smooth("layer: batch norm of vectors, evaluation", Chain, |d| {
        batch_norm(d, BatchNorm::new(3)).forward(&d.floats([5, 3]), &Mode::eval())
    });
    list.smooth("layer: batch norm of maps, training", Chain, |d| {
        batch_norm(d, BatchNorm::new(3)).forward(&d.floats([2, 3, 3, 2]), &Mode::train())
    });
    list.smooth("layer: batch norm of maps, evaluation", Chain, |d| {
        batch_norm(d, BatchNorm::new(3)).forward(&d.floats([2, 3, 3, 2]), &Mode::eval())
    });
    list.smooth("layer: batch norm without anything of its own, evaluation", Chain, |d| {
        BatchNorm::new(3).without_affine().without_running_stats().forward(&d.floats([2, 3, 4]), &Mode::eval())
    });
    list.value("layer: batch norm's running averages", Chain, |d| {
        let (layer, mode) = (batch_norm(d, BatchNorm::new(3)), Mode::train());
        let _ = layer.forward(&d.floats([4, 3, 2, 3]), &mode);
        updates(&mode)
    });
    list.value("layer: batch norm's running averages after two uses", Chain, |d| {
        let (layer, mode) = (batch_norm(d, BatchNorm::new(3).momentum(0.4)), Mode::train());
        let once = layer.forward(&d.floats([4, 3]), &mode);
        let _ = layer.forward(&(once * 2.0), &mode);
        updates(&mode)
    });
    list.value("layer: batch norm's cumulative averages", Chain, |d| {
        let (layer, mode) = (batch_norm(d, BatchNorm::new(3).cumulative()), Mode::train());
        let _ = layer.forward(&d.floats([4, 3]), &mode);
        let _ = layer.forward(&d.floats([2, 3]), &mode);
        updates(&mode)
    });
    // The mean is 30 deviations away from 0: a variance by E[x^2] - E[x]^2 would have lost three digits.
    list.value("layer: batch norm far from 0", Chain, |d| {
        let x = d.given([8, 1], &[30.0f32, 31.0, 29.5, 32.25, 28.0, 30.75, 31.5, 29.0]);
        BatchNorm::new(1).forward(&x, &Mode::train())
    });
    list.smooth("layer: layer norm", Chain, |d| {
        let mut layer = LayerNorm::new([4]);
        fill(d, layer.weight.iter_mut().chain(&mut layer.bias));
        layer.forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    list.smooth("layer: layer norm over two axes", Chain, |d| {
        LayerNorm::new([3, 4]).without_affine().forward(&d.floats([2, 3, 4]), &Mode::eval())
    });
    list.smooth("layer: RMS norm", Chain, |d| {
        let mut layer = RmsNorm::new([4]);
        fill(d, &mut layer.weight);
        layer.forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    list.smooth("layer: group norm", Chain, |d| {
        let mut layer = GroupNorm::new(2, 4);
        fill(d, layer.weight.iter_mut().chain(&mut layer.bias));
        layer.forward(&d.floats([2, 4, 3, 2]), &Mode::train())
    });
    list.smooth("layer: group norm of vectors", Chain, |d| GroupNorm::new(2, 6).without_affine().forward(&d.floats([3, 6]), &Mode::eval()));
    list.smooth("layer: instance norm", Chain, |d| {
        let mut layer = InstanceNorm::new(2).affine();
        fill(d, layer.weight.iter_mut().chain(&mut layer.bias));
        layer.forward(&d.floats([2, 2, 3, 2]), &Mode::train())
    });
    list.wide("layer: layer norm of long rows", Chain, |d| {
        LayerNorm::new([3000]).without_affine().forward(&d.floats([3, 3000]), &Mode::train())
    });
    list.wide("layer: batch norm of large maps", Chain, |d| BatchNorm::new(3).forward(&d.floats([8, 3, 24, 24]), &Mode::train()));
}

fn queries(d: &mut Data) -> [Tensor; 3] {
    [d.floats([2, 3, 4]), d.floats([2, 5, 4]), d.floats([2, 5, 3])]
}

fn heads(d: &mut Data, mut layer: MultiHeadAttention) -> MultiHeadAttention {
    fill(d, layer.in_proj_weight.iter_mut().chain(&mut layer.in_proj_bias));
    linear(d, &mut layer.out_proj);
    layer
}

fn attention(list: &mut List) {
    let none = AttentionMask::none;
    list.smooth("layer: attention", Chain, move |d| {
        let [q, k, v] = queries(d);
        scaled_dot_product_attention(&q, &k, &v, &none())
    });
    list.smooth("layer: attention, causal", Chain, |d| {
        let [q, k, v] = queries(d);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::causal())
    });
    list.smooth("layer: attention with a mask that closes all to one query", Chain, |d| {
        let [q, k, v] = queries(d);
        let open = Tensor::from([[1u32, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]).to(DType::Bool);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none().allowed(&open))
    });
    list.smooth("layer: attention with a learned bias, causal and padded", Chain, |d| {
        let [q, k, v] = queries(d);
        let padding = Tensor::from([[0u32, 0, 0, 1, 1], [1, 0, 0, 0, 0]]).to(DType::Bool);
        let bias = d.floats([3, 5]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::causal().padding(&padding).added(&bias))
    });
    list.value("layer: attention with a closed key by a large negative number", Chain, |d| {
        let [q, k, v] = queries(d);
        let bias = d.given([5], &[0.0f32, -1e30, 0.5, f32::MIN, 0.0]);
        scaled_dot_product_attention(&q, &k, &v, &AttentionMask::none().added(&bias))
    });
    list.smooth("layer: attention with heads that share keys", Chain, move |d| {
        let (q, k, v) = (d.floats([2, 3, 3, 4]), d.floats([2, 1, 5, 4]), d.floats([2, 1, 5, 2]));
        scaled_dot_product_attention(&q, &k, &v, &none())
    });
    list.smooth("layer: multi-head attention", Chain, |d| {
        heads(d, MultiHeadAttention::new(4, 2)).forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    list.smooth("layer: multi-head attention, causal, rotary, without bias", Chain, |d| {
        heads(d, MultiHeadAttention::new(8, 2).causal().rotary(10_000.0).without_bias()).forward(&d.floats([2, 3, 8]), &Mode::eval())
    });
    list.smooth("layer: multi-head attention to keys and values of other widths", Chain, move |d| {
        let layer = heads(d, MultiHeadAttention::new(4, 2).kdim(3).vdim(5));
        layer.run(&d.floats([2, 2, 4]), &d.floats([2, 3, 3]), &d.floats([2, 3, 5]), &none(), &Mode::train()).0
    });
    list.smooth("layer: multi-head attention's weights", Chain, move |d| {
        let (layer, x) = (heads(d, MultiHeadAttention::new(4, 2)), d.floats([2, 3, 4]));
        layer.run(&x, &x, &x, &none(), &Mode::train()).1
    });
    list.smooth("layer: multi-head attention with dropout, training", Chain, |d| {
        heads(d, MultiHeadAttention::new(4, 2).dropout(0.4)).forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    list.value("layer: sinusoidal encoding", Exact, |d| sinusoidal_encoding(5, 7) * d.given([1], &[1.0f32]));
    list.smooth("layer: learned encoding", Rounded, |d| {
        let mut layer = LearnedEncoding::new(6, 4);
        fill(d, [&mut layer.weight]);
        layer.forward(&d.floats([2, 5, 4]), &Mode::train())
    });
    list.smooth("layer: rotary encoding", Rounded, |d| rotary(&d.floats([2, 5, 6]), 100.0));
}

fn encoder(d: &mut Data, mut layer: TransformerEncoderLayer) -> TransformerEncoderLayer {
    layer.self_attn = heads(d, layer.self_attn);
    linear(d, &mut layer.linear1);
    linear(d, &mut layer.linear2);
    for norm in [&mut layer.norm1, &mut layer.norm2] {
        fill(d, norm.weight.iter_mut().chain(&mut norm.bias));
    }
    layer
}

fn decoder(d: &mut Data, mut layer: TransformerDecoderLayer) -> TransformerDecoderLayer {
    layer.self_attn = heads(d, layer.self_attn);
    layer.multihead_attn = heads(d, layer.multihead_attn);
    linear(d, &mut layer.linear1);
    linear(d, &mut layer.linear2);
    layer
}

fn transformers(list: &mut List) {
    let small = || TransformerEncoderLayer::new(4, 2).dim_feedforward(3).activation(Tensor::tanh);
    list.smooth("layer: transformer encoder, training", Chain, move |d| {
        encoder(d, small().dropout(0.0)).forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    // Several draws are numbered differently in a graph of gradients alone, which is what finite differences are compared with.
    list.wide("layer: transformer encoder with dropout, training", Chain, move |d| {
        encoder(d, small().dropout(0.3)).forward(&d.floats([2, 3, 4]), &Mode::train())
    });
    list.smooth("layer: transformer encoder, norm first, causal, evaluation", Chain, move |d| {
        encoder(d, small().norm_first().activation(Gelu).causal()).forward(&d.floats([2, 3, 4]), &Mode::eval())
    });
    list.smooth("layer: two transformer encoders, padded", Chain, move |d| {
        let mut stack = TransformerEncoder::new(&small().dropout(0.0).norm_first(), 2).norm(LayerNorm::new([4]));
        stack.layers = stack.layers.into_iter().map(|layer| encoder(d, layer)).collect();
        let padding = Tensor::from([[0u32, 0, 0], [0, 0, 1]]).to(DType::Bool);
        stack.run(&d.floats([2, 3, 4]), &AttentionMask::none().padding(&padding), &Mode::train())
    });
    let small = || TransformerDecoderLayer::new(4, 2).dim_feedforward(3).activation(Tensor::tanh).dropout(0.0);
    let none = AttentionMask::none;
    list.smooth("layer: transformer decoder, training", Chain, move |d| {
        let layer = decoder(d, small());
        layer.run(&d.floats([2, 3, 4]), &d.floats([2, 2, 4]), &none(), &none(), &Mode::train())
    });
    list.smooth("layer: transformer decoder, norm first, evaluation", Chain, move |d| {
        let layer = decoder(d, small().norm_first());
        layer.run(&d.floats([1, 3, 4]), &d.floats([1, 2, 4]), &none(), &none(), &Mode::eval())
    });
}

/// A recurrent layer of 2 features in and 3 hidden with values of the case.
macro_rules! recurrent {
    ($d:ident, $layer:expr) => {{
        let mut layer = $layer;
        let params: Vec<&mut Param> = layer.parameters_mut().into_iter().map(|(_, param)| param).collect();
        fill($d, params);
        layer
    }};
}

fn recurrence(list: &mut List) {
    let mode = Mode::train;
    list.smooth("layer: rnn, training", Chain, move |d| recurrent!(d, Rnn::new(2, 3)).forward(&d.floats([2, 4, 2]), &mode()));
    list.smooth("layer: rnn, evaluation", Chain, |d| {
        recurrent!(d, Rnn::new(2, 3).without_bias()).forward(&d.floats([2, 4, 2]), &Mode::eval())
    });
    list.wide("layer: rnn of relu", Sum(12), move |d| recurrent!(d, Rnn::new(2, 3).relu()).forward(&d.floats([2, 4, 2]), &mode()));
    list.smooth("layer: lstm, training", Chain, move |d| recurrent!(d, Lstm::new(2, 3)).forward(&d.floats([2, 4, 2]), &mode()));
    list.smooth("layer: lstm of one step", Chain, move |d| recurrent!(d, Lstm::new(2, 3)).forward(&d.floats([2, 1, 2]), &mode()));
    list.smooth("layer: lstm, final states from given ones", Chain, |d| {
        let layer = recurrent!(d, Lstm::new(2, 3));
        let (x, h, c) = (d.floats([2, 3, 2]), d.floats([1, 2, 3]), d.floats([1, 2, 3]));
        let (_, (h, c)) = layer.run(&x, Some((&h, &c)), &Mode::eval());
        h * 2.0 + c
    });
    list.smooth("layer: two lstms in both directions with dropout, training", Chain, move |d| {
        let layer = recurrent!(d, Lstm::new(2, 2).num_layers(2).bidirectional().dropout(0.3));
        layer.forward(&d.floats([2, 3, 2]), &mode())
    });
    list.smooth("layer: gru, training", Chain, move |d| recurrent!(d, Gru::new(2, 3)).forward(&d.floats([2, 4, 2]), &mode()));
    list.smooth("layer: gru, evaluation, from a given state", Chain, |d| {
        let (layer, h) = (recurrent!(d, Gru::new(2, 3)), d.floats([1, 2, 3]));
        layer.run(&d.floats([2, 3, 2]), Some(&h), &Mode::eval()).0
    });
    list.smooth("layer: two grus in both directions, final states", Chain, move |d| {
        let layer = recurrent!(d, Gru::new(2, 2).num_layers(2).bidirectional().without_bias());
        layer.run(&d.floats([2, 3, 2]), None, &mode()).1
    });
    // Forward alone: a long recurrence's gradient takes software GPUs minutes to compile.
    list.value("layer: lstm of 12 steps", Chain, move |d| recurrent!(d, Lstm::new(5, 16)).forward(&d.floats([4, 12, 5]), &mode()));
}

macro_rules! convolution {
    ($d:ident, $layer:expr) => {{
        let mut layer = $layer;
        fill($d, std::iter::once(&mut layer.weight).chain(&mut layer.bias));
        layer
    }};
}

fn convolution(list: &mut List) {
    let mode = Mode::train;
    list.smooth("layer: conv1d", Sum(6), move |d| convolution!(d, Conv1d::new(2, 3, 3).padding(1)).forward(&d.floats([2, 2, 6]), &mode()));
    list.smooth("layer: conv1d of groups, as large as its input", Sum(4), |d| {
        convolution!(d, Conv1d::new(2, 4, 4).padding(Same).dilation(2).groups(2).without_bias())
            .forward(&d.floats([2, 2, 7]), &Mode::eval())
    });
    list.smooth("layer: conv2d", Sum(12), move |d| {
        convolution!(d, Conv2d::new(2, 3, [2, 3]).stride([2, 1]).padding([1, 0]).dilation([1, 2])).forward(&d.floats([2, 2, 4, 6]), &mode())
    });
    list.smooth("layer: conv2d, depthwise", Sum(9), |d| {
        convolution!(d, Conv2d::new(3, 3, 3).padding(Same).groups(3)).forward(&d.floats([1, 3, 3, 4]), &Mode::eval())
    });
    for mode in [PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular] {
        list.smooth(format!("layer: conv2d with padding {mode:?}"), Sum(9), move |d| {
            convolution!(d, Conv2d::new(1, 2, 3).padding([2, 1]).padding_mode(mode)).forward(&d.floats([1, 1, 3, 4]), &Mode::train())
        });
    }
    list.smooth("layer: transposed conv1d", Sum(6), move |d| {
        convolution!(d, ConvTranspose1d::new(2, 3, 3).stride(2).padding(1).output_padding(1)).forward(&d.floats([2, 2, 4]), &mode())
    });
    list.smooth("layer: transposed conv2d of groups", Sum(6), move |d| {
        convolution!(d, ConvTranspose2d::new(2, 4, [2, 3]).stride([2, 3]).groups(2)).forward(&d.floats([1, 2, 3, 2]), &mode())
    });
}

fn pooling(list: &mut List) {
    let mode = Mode::train;
    list.smooth("layer: max pool 1d", Exact, move |d| MaxPool1d::new(2).forward(&d.distinct([2, 3, 7]), &mode()));
    list.smooth("layer: max pool 1d that overlaps", Exact, move |d| {
        MaxPool1d::new(3).stride(2).padding(1).forward(&d.distinct([2, 3, 8]), &mode())
    });
    list.smooth("layer: max pool 2d", Exact, |d| MaxPool2d::new(2).forward(&d.distinct([2, 2, 4, 6]), &Mode::eval()));
    list.smooth("layer: max pool 2d of a remainder, in ceil mode", Exact, move |d| {
        MaxPool2d::new([2, 3]).ceil_mode(true).forward(&d.distinct([1, 2, 5, 7]), &mode())
    });
    list.smooth("layer: max pool 2d that overlaps, padded and dilated", Exact, move |d| {
        MaxPool2d::new([2, 3]).stride([2, 1]).padding([1, 1]).dilation([2, 1]).forward(&d.distinct([1, 2, 6, 5]), &mode())
    });
    // Where nothing is positive, padding by zeros would win.
    list.value("layer: max pool 2d of negative numbers, padded", Exact, move |d| {
        MaxPool2d::new(3).stride(2).padding(1).forward(&d.range([1, 2, 4, 4], -2.0, -1.0), &mode())
    });
    list.wide("layer: max pool 2d of ties", Rounded, move |d| {
        MaxPool2d::new(3).stride(1).forward(&d.given([1, 1, 4, 4], &[1.0f32, 1.0, 0.0, 2.0].repeat(4)), &mode())
    });
    list.smooth("layer: mean pool 1d", Rounded, move |d| AvgPool1d::new(2).forward(&d.floats([2, 3, 7]), &mode()));
    list.smooth("layer: mean pool 2d that overlaps, padded", Sum(9), move |d| {
        AvgPool2d::new(3).stride(2).padding(1).forward(&d.floats([1, 2, 5, 4]), &mode())
    });
    list.smooth("layer: mean pool 2d in ceil mode, not counting padding", Chain, move |d| {
        AvgPool2d::new([2, 3]).stride(2).padding(1).ceil_mode(true).count_include_pad(false).forward(&d.floats([1, 1, 5, 6]), &mode())
    });
    list.smooth("layer: adaptive mean pool 1d", Chain, move |d| AdaptiveAvgPool1d::new(3).forward(&d.floats([2, 2, 7]), &mode()));
    list.smooth("layer: adaptive mean pool 2d", Chain, |d| AdaptiveAvgPool2d::new([3, 2]).forward(&d.floats([1, 2, 5, 4]), &Mode::eval()));
    list.smooth("layer: adaptive mean pool 2d to more than there are", Chain, move |d| {
        AdaptiveAvgPool2d::new(5).forward(&d.floats([1, 1, 3, 4]), &mode())
    });
    list.smooth("layer: adaptive max pool 1d", Exact, move |d| AdaptiveMaxPool1d::new(3).forward(&d.distinct([1, 2, 7]), &mode()));
    list.smooth("layer: adaptive max pool 2d", Exact, move |d| AdaptiveMaxPool2d::new([2, 3]).forward(&d.distinct([1, 2, 4, 5]), &mode()));
    list.smooth("layer: global mean", Sum(12), move |d| GlobalAvgPool.forward(&d.floats([2, 3, 3, 4]), &mode()));
    list.smooth("layer: global max", Exact, move |d| GlobalMaxPool.forward(&d.distinct([2, 3, 5]), &mode()));
    list.wide("layer: max pool 2d of large maps", Exact, move |d| {
        MaxPool2d::new(3).stride(2).padding(1).forward(&d.floats([2, 3, 31, 33]), &mode())
    });
}

fn moved(list: &mut List) {
    for align in [false, true] {
        // Places from one pixel outside to two, at least a tenth of a pixel from all centres, where the slope jumps.
        let grid = move |d: &mut Data| {
            let pixels = d.between([2, 2, 3, 2], 1.0) + 1.0;
            if align { pixels - 1.0 } else { (pixels * 2.0 + 1.0) / 3.0 - 1.0 }
        };
        list.smooth(format!("layer: grid_sample, align {align}"), Chain, move |d| grid_sample(&d.floats([2, 2, 3, 3]), &grid(d), align));
        list.smooth(format!("layer: affine_grid, align {align}"), Chain, move |d| affine_grid(&d.floats([2, 2, 3]), [2, 1, 3, 4], align));
    }
    // A place of up to 17 pixels is a sum and products, rounded in units of 16, and pixels differ by up to 4: that is 64 units of rounding an operation.
    list.wide("layer: grid_sample of a larger image", Sum(1000), |d| {
        let maps = d.range([3, 2, 3], -0.7, 0.7);
        grid_sample(&d.floats([3, 2, 13, 17]), &affine_grid(&maps, [3, 2, 19, 11], false), false)
    });
    list.smooth("layer: random affine, training", Chain, |d| {
        RandomAffine::new(30.0).translate(0.2, 0.1).scale(0.8, 1.25).forward(&d.floats([3, 2, 4, 5]), &Mode::train())
    });
}

fn composed(list: &mut List) {
    let mode = Mode::train;
    list.smooth("layer: reflection pad", Exact, move |d| ReflectionPad2d::new([1, 2, 0, 1]).forward(&d.floats([1, 2, 2, 3]), &mode()));
    list.smooth("layer: replication pad", Exact, move |d| ReplicationPad2d::new([1, 2, 3, 1]).forward(&d.floats([1, 2, 2, 3]), &mode()));
    list.smooth("layer: unflatten and zero pad", Exact, move |d| {
        Sequential::new().then(Unflatten::new(1, [2, 2, 3])).then(ZeroPad2d::new(1)).forward(&d.floats([2, 12]), &mode())
    });
    list.smooth("layer: upsample", Exact, move |d| Upsample::new(2).forward(&d.floats([1, 2, 2, 3]), &mode()));
    list.smooth("layer: upsample, bilinear", Chain, move |d| Upsample::new(2).linear().forward(&d.floats([1, 2, 2, 3]), &mode()));
    list.smooth("layer: a convolutional network, training", Chain, move |d| {
        let (first, norm) = (convolution!(d, Conv2d::new(1, 2, 3).padding(1).without_bias()), batch_norm(d, BatchNorm::new(2)));
        let (second, mut last) = (convolution!(d, Conv2d::new(2, 2, 3).padding(Same)), Linear::new(2, 3));
        linear(d, &mut last);
        let inner = Sequential::new().then(second).then(Tensor::tanh);
        let model = Sequential::new()
            .then(first)
            .then(norm)
            .then(Tensor::tanh)
            .then(AvgPool2d::new(2))
            .then(Residual(inner))
            .then(GlobalAvgPool)
            .then(last);
        let labels = d.uints([3], 3);
        cross_entropy(&model.forward(&d.floats([3, 1, 4, 4]), &mode()), &labels)
    });
    list.smooth("layer: a language model, evaluation", Chain, |d| {
        let mut table = Embedding::new(5, 4);
        fill(d, [&mut table.weight]);
        let words = d.uints([2, 3], 5);
        let layer = encoder(d, TransformerEncoderLayer::new(4, 2).dim_feedforward(3).activation(Gelu).causal());
        let model = Sequential::new().then(SinusoidalEncoding).then(layer);
        let (places, mode) = (table.forward(&words, &Mode::eval()), Mode::eval());
        model.forward(&places, &mode).reshape([6, 4]).matmul(&table.weight.t()).log_softmax(-1)
    });
}
