"""Writes layers.txt: what PyTorch's layers give in f64, forward, gradients and running statistics, for crates/nn/tests/nn/golden.rs.

    python crates/nn/tests/golden/layers.py > crates/nn/tests/golden/layers.txt

Made with PyTorch 2.15. Each case is a line `case NAME` and then lines `KIND NAME SHAPE VALUES..`: parameters and buffers before, inputs, outputs, the
gradients of sum(output * weights) by inputs and parameters, buffers after. Weights are 1, 1.25, 1.5, .. through all outputs, starting again after 7.
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def numbers(tensor):
    shape = ",".join(map(str, tensor.shape)) or "-"
    return shape + " " + " ".join(f"{v:.9g}" for v in tensor.flatten().tolist())


def draw(*shape, scale=1.0):
    # Three decimals: what is written is what was computed with.
    return (torch.randn(*shape) * scale * 1000).round() / 1000


def flat(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for part in result for t in flat(part)] if result is not None else []


def case(name, module, *inputs, call=None, train=True):
    module.train(train)
    with torch.no_grad():
        for key, p in module.named_parameters():
            p.copy_(draw(*p.shape, scale=0.4))
        for key, b in module.named_buffers():
            if b.dtype.is_floating_point:
                b.copy_((draw(*b.shape) if "mean" in key else draw(*b.shape).abs() + 0.5))
    print("case", name)
    for key, p in module.named_parameters():
        print("param", key, numbers(p))
    for key, b in module.named_buffers():
        if "num_batches" not in key or getattr(module, "momentum", 0) is None:
            print("buffer", key, numbers(b))
    inputs = [x.clone().requires_grad_() if x.dtype.is_floating_point else x for x in inputs]
    for i, x in enumerate(inputs):
        print("input", i, numbers(x))
    outputs = flat(call(module, *inputs) if call else module(*inputs))
    loss = sum((y * (1 + 0.25 * (torch.arange(y.numel()) % 7)).reshape(y.shape)).sum() for y in outputs)
    loss.backward()
    for i, y in enumerate(outputs):
        print("output", i, numbers(y))
    for i, x in enumerate(inputs):
        if x.grad is not None:
            print("grad_input", i, numbers(x.grad))
    for key, p in module.named_parameters():
        if p.grad is not None:
            print("grad_param", key, numbers(p.grad))
    if train:
        for key, b in module.named_buffers():
            if "num_batches" not in key or getattr(module, "momentum", 0) is None:
                print("after", key, numbers(b))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


# Normalisation.
case("batch_norm_train", nn.BatchNorm1d(3), draw(4, 3))
case("batch_norm_eval", nn.BatchNorm1d(3), draw(4, 3), train=False)
case("batch_norm_2d_train", nn.BatchNorm2d(2, momentum=0.3, eps=0.01), draw(2, 2, 2, 3))
case("batch_norm_2d_eval", nn.BatchNorm2d(2), draw(2, 2, 2, 2), train=False)
case("batch_norm_cumulative", nn.BatchNorm1d(2, momentum=None), draw(3, 2))
case("batch_norm_plain", nn.BatchNorm1d(2, affine=False, track_running_stats=False), draw(3, 2), train=False)
case("layer_norm", nn.LayerNorm(4), draw(2, 3, 4))
case("layer_norm_two_axes", nn.LayerNorm([2, 3], eps=0.1, bias=False), draw(2, 2, 3))
case("group_norm", nn.GroupNorm(2, 4), draw(2, 4, 3))
case("group_norm_flat", nn.GroupNorm(2, 4, affine=False), draw(2, 4))
case("instance_norm", nn.InstanceNorm1d(2, affine=True), draw(2, 2, 4))
case("instance_norm_plain", nn.InstanceNorm2d(2), draw(1, 2, 2, 2))
case("rms_norm", nn.RMSNorm(4), draw(2, 4))
case("rms_norm_eps", nn.RMSNorm([2, 2], eps=0.3), draw(2, 2, 2))

# Attention.
sdpa = F.scaled_dot_product_attention
case("attention", Function(sdpa), draw(2, 3, 4), draw(2, 5, 4), draw(2, 5, 2))
case("attention_causal", Function(lambda q, k, v: sdpa(q, k, v, is_causal=True)), draw(1, 2, 3, 2), draw(1, 2, 4, 2), draw(1, 2, 4, 2))
closed = torch.tensor([[1, 0, 1], [0, 0, 0]], dtype=torch.bool)
case("attention_masked", Function(lambda q, k, v: sdpa(q, k, v, attn_mask=closed)), draw(2, 2, 2), draw(2, 3, 2), draw(2, 3, 2))
case("attention_added", Function(lambda q, k, v, m: sdpa(q, k, v, attn_mask=m)), draw(2, 2, 2), draw(2, 3, 2), draw(2, 3, 2), draw(2, 3))
pad = torch.tensor([[False, False, True], [False, False, False]])
mha = nn.MultiheadAttention(4, 2, batch_first=True)
case("mha_self", mha, draw(2, 3, 4), call=lambda m, x: m(x, x, x, average_attn_weights=False))
case("mha_cross", nn.MultiheadAttention(4, 2, batch_first=True, kdim=3, vdim=2), draw(2, 2, 4), draw(2, 3, 3), draw(2, 3, 2),
     call=lambda m, q, k, v: m(q, k, v, average_attn_weights=False, key_padding_mask=pad))
case("mha_memory", nn.MultiheadAttention(4, 2, batch_first=True, bias=False), draw(1, 2, 4), draw(1, 3, 4),
     call=lambda m, q, k: m(q, k, k, need_weights=False))
future = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
case("mha_masked", nn.MultiheadAttention(4, 2, batch_first=True), draw(2, 3, 4),
     call=lambda m, x: m(x, x, x, attn_mask=future, key_padding_mask=pad, average_attn_weights=False))

# Transformers.
case("encoder_layer", nn.TransformerEncoderLayer(4, 2, 3, dropout=0.0, batch_first=True), draw(2, 3, 4))
case("encoder_layer_norm_first", nn.TransformerEncoderLayer(4, 1, 3, dropout=0.0, batch_first=True, norm_first=True, activation="gelu", bias=False),
     draw(2, 3, 4), call=lambda m, x: m(x, src_mask=future, src_key_padding_mask=pad))
case("encoder", nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, batch_first=True), 2, norm=nn.LayerNorm(2)), draw(1, 3, 2))
case("decoder_layer", nn.TransformerDecoderLayer(4, 2, 3, dropout=0.0, batch_first=True), draw(2, 3, 4), draw(2, 3, 4),
     call=lambda m, x, y: m(x, y, tgt_mask=future, memory_key_padding_mask=pad))
case("decoder_norm_first", nn.TransformerDecoder(nn.TransformerDecoderLayer(2, 1, 3, dropout=0.0, batch_first=True, norm_first=True), 2, norm=nn.LayerNorm(2)),
     draw(1, 3, 2), draw(1, 2, 2), call=lambda m, x, y: m(x, y, tgt_mask=future))

# Recurrence.
case("rnn", nn.RNN(2, 3, batch_first=True), draw(2, 3, 2))
case("rnn_relu", nn.RNN(2, 3, num_layers=2, nonlinearity="relu", bias=False, batch_first=True), draw(2, 3, 2), draw(2, 2, 3))
case("lstm", nn.LSTM(2, 3, batch_first=True), draw(2, 3, 2))
case("lstm_deep", nn.LSTM(2, 2, num_layers=2, bidirectional=True, batch_first=True), draw(2, 3, 2), draw(4, 2, 2), draw(4, 2, 2),
     call=lambda m, x, h, c: m(x, (h, c)))
case("gru", nn.GRU(2, 3, batch_first=True), draw(2, 3, 2), draw(1, 2, 3))
case("gru_deep", nn.GRU(2, 2, num_layers=2, bidirectional=True, bias=False, batch_first=True), draw(2, 3, 2))

# Convolution.
case("conv1d", nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), draw(2, 2, 6))
case("conv1d_same", nn.Conv1d(1, 2, 4, padding="same", dilation=2, bias=False), draw(1, 1, 7))
case("conv2d", nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), draw(2, 2, 4, 5))
case("conv2d_depthwise", nn.Conv2d(2, 2, 3, padding="same", groups=2), draw(1, 2, 3, 4))
case("conv_transpose1d", nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), draw(2, 2, 4))
case("conv_transpose2d", nn.ConvTranspose2d(2, 4, (2, 3), stride=(2, 3), padding=(0, 1), dilation=(2, 1), groups=2), draw(1, 2, 3, 2))
for mode in ["reflect", "replicate", "circular"]:
    case(f"conv1d_{mode}", nn.Conv1d(1, 2, 3, padding=2, padding_mode=mode), draw(2, 1, 5))
    case(f"conv2d_{mode}", nn.Conv2d(1, 1, (3, 2), padding="same", padding_mode=mode), draw(1, 1, 3, 4))

# Pooling.
case("max_pool1d", nn.MaxPool1d(2), draw(2, 2, 7))
case("max_pool1d_ceil", nn.MaxPool1d(2, ceil_mode=True), draw(1, 2, 7))
case("max_pool2d", nn.MaxPool2d((3, 2), stride=(1, 2), padding=1), draw(1, 2, 4, 5))
case("max_pool2d_dilated", nn.MaxPool2d(2, stride=2, padding=1, dilation=2, ceil_mode=True), draw(1, 1, 6, 7))
case("avg_pool1d", nn.AvgPool1d(2), draw(2, 2, 7))
case("avg_pool1d_ceil", nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True), draw(1, 1, 6))
case("avg_pool2d", nn.AvgPool2d(3, stride=2, padding=1), draw(1, 2, 5, 4))
case("avg_pool2d_ceil", nn.AvgPool2d((2, 3), stride=(3, 2), padding=(1, 1), ceil_mode=True), draw(1, 1, 5, 6))
case("avg_pool2d_exclusive", nn.AvgPool2d((2, 3), stride=2, padding=1, ceil_mode=True, count_include_pad=False), draw(1, 1, 5, 6))
case("adaptive_avg_pool1d", nn.AdaptiveAvgPool1d(3), draw(1, 2, 7))
case("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d((3, 2)), draw(1, 2, 5, 4))
case("adaptive_avg_pool2d_larger", nn.AdaptiveAvgPool2d(5), draw(1, 1, 3, 4))
case("adaptive_avg_pool2d_even", nn.AdaptiveAvgPool2d((2, 1)), draw(1, 2, 4, 3))
case("adaptive_max_pool1d", nn.AdaptiveMaxPool1d(3), draw(1, 2, 7))
case("adaptive_max_pool2d", nn.AdaptiveMaxPool2d((3, 2)), draw(1, 2, 5, 4))

# Resizing and padding.
case("upsample_nearest", nn.Upsample(scale_factor=2), draw(1, 2, 2, 3))
case("upsample_nearest_size", nn.Upsample(size=(5, 4)), draw(1, 1, 3, 3))
case("upsample_bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), draw(1, 2, 2, 3))
# Weights that are multiples of 1/4, which f32 holds exactly.
case("upsample_bilinear_corners", nn.Upsample(size=(9, 5), mode="bilinear", align_corners=True), draw(1, 1, 3, 3))
case("zero_pad2d", nn.ZeroPad2d((1, 2, 0, 1)), draw(1, 1, 2, 3))
case("reflection_pad2d", nn.ReflectionPad2d((1, 2, 0, 1)), draw(1, 2, 2, 3))
case("replication_pad2d", nn.ReplicationPad2d((1, 2, 3, 1)), draw(1, 2, 2, 3))
case("circular_pad2d", nn.CircularPad2d((1, 2, 0, 1)), draw(1, 1, 2, 3))
