"""Convolutions, pooling, normalisation, attention, recurrent layers and small networks."""

import torch
import torch.nn.functional as F
from torch import nn


# The root of 3, and 1e-5, in f32.
ROOT = 1.7320507764816284
EPS = 9.999999747378752e-06


def cases():
    yield from convolutions()
    yield from layers_of_convolutions()
    yield from pooling()
    yield from normalisation()
    yield from attention()
    yield from recurrence()
    yield from composed()


def convolutions():
    for s, p, d, k in ((1, 0, 1, 3), (2, 0, 1, 3), (1, 2, 1, 3), (2, 1, 2, 3), (3, 2, 1, 2), (1, 0, 1, 1), (2, 0, 1, 1)):
        name = f"conv1d, kernel {k}, stride {s}, padding {p}, dilation {d}"
        yield name, lambda x, w, s=s, p=p, d=d: F.conv1d(x, w, stride=s, padding=p, dilation=d)
    yield "conv1d, twice", lambda x, w: F.conv1d(x, w, padding=1)
    yield "conv1d, strided, twice", lambda x, w: F.conv1d(x, w, stride=2)
    yield "conv1d of many images", F.conv1d
    yield "conv1d of a long signal", lambda x, w: F.conv1d(x, w, padding=2)
    for s, p, d, k in (
        ([1, 1], [0, 0], [1, 1], [3, 3]),
        ([1, 1], [1, 1], [1, 1], [3, 3]),
        ([2, 2], [1, 1], [1, 1], [3, 3]),
        ([2, 1], [0, 2], [1, 2], [2, 3]),
        ([1, 3], [2, 0], [2, 1], [3, 1]),
        ([3, 2], [1, 2], [1, 1], [1, 4]),
        ([1, 1], [0, 0], [1, 1], [1, 1]),
        ([2, 2], [0, 0], [1, 1], [1, 1]),
        ([1, 1], [3, 3], [1, 1], [2, 2]),
    ):
        name = f"conv2d, kernel {k}, stride {s}, padding {p}, dilation {d}"
        yield name, lambda x, w, s=s, p=p, d=d: F.conv2d(x, w, stride=s, padding=p, dilation=d)
    yield "conv2d, twice", lambda x, w: F.conv2d(x, w, padding=1)
    yield "conv2d, strided and dilated, twice", lambda x, w: F.conv2d(x, w, stride=2, padding=2, dilation=2)
    yield "conv2d, same, even kernel", lambda x, w: F.conv2d(x, w, padding="same")
    yield "conv2d, bias and relu", lambda x, w, b: F.relu(F.conv2d(x, w, b.flatten(), padding=1))
    yield "conv2d of what is computed", lambda x, w: torch.exp(F.conv2d(torch.tanh(2 * x), w + 0.5))
    yield "two conv2d", lambda x, v, w: F.conv2d(torch.tanh(F.conv2d(x, v)), w, stride=2)
    yield "conv2d, the input twice", lambda x, v, w: F.conv2d(x, v, padding=1) * x + F.conv2d(x, w)
    yield "conv1d, two groups", lambda x, w: F.conv1d(x, w, padding=1, groups=2)
    yield "conv1d, depthwise", lambda x, w: F.conv1d(x, w, groups=3)
    yield "conv1d, depthwise with a multiplier", lambda x, w: F.conv1d(x, w, groups=3)
    yield "conv2d, two groups, strided", lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2)
    yield "conv2d, depthwise", lambda x, w: F.conv2d(x, w, padding=1, groups=4)
    yield "conv2d, depthwise, dilated, strided", lambda x, w: F.conv2d(x, w, None, (2, 1), 2, 2, 2)
    yield "conv2d, several channels to one a group", lambda x, w: F.conv2d(x, w, groups=2)
    for s, p, o, d in ((1, 0, 0, 1), (2, 0, 0, 1), (2, 1, 1, 1), (3, 2, 2, 1), (2, 1, 1, 2), (1, 2, 0, 2)):
        name = f"stride {s}, padding {p}, output padding {o}, dilation {d}"
        yield f"conv_transpose1d, {name}", lambda x, w, a=(s, p, o, 1, d): F.conv_transpose1d(x, w, None, *a)
        yield f"conv_transpose2d, {name}", lambda x, w, a=(s, p, o, 1, d): F.conv_transpose2d(x, w, None, *a)
    yield "conv_transpose1d, twice", lambda x, w: F.conv_transpose1d(x, w, stride=2)
    yield "conv_transpose2d, two groups", lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2)
    yield "conv2d, one pixel", F.conv2d
    yield "conv2d, the kernel is the image", F.conv2d
    yield "conv2d of no image", F.conv2d
    yield "conv2d of an expanded image", lambda x, w: F.conv2d(x.repeat(3, 1, 1, 1), w)
    yield "conv2d of channels that come last", lambda x, w: F.conv2d(x.movedim(-1, 1), w, padding=1).movedim(1, -1)
    yield "conv2d of a constant image", lambda w: F.conv2d(torch.full((1, 1, 4, 4), 0.5), w, padding=1)


def layers_of_convolutions():
    yield "layer: conv1d", lambda w, b, x: F.conv1d(x, w, b, padding=1)
    yield "layer: conv1d of groups, as large as its input", lambda w, x: F.conv1d(x, w, padding="same", dilation=2, groups=2)
    yield "layer: conv2d", lambda w, b, x: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2))
    yield "layer: conv2d, depthwise", lambda w, b, x: F.conv2d(x, w, b, padding=1, groups=3)
    for name, mode in (("Reflect", "reflect"), ("Replicate", "replicate"), ("Circular", "circular")):
        yield f"layer: conv2d with padding {name}", lambda w, b, x, mode=mode: F.conv2d(F.pad(x, (1, 1, 2, 2), mode=mode), w, b)
    yield "layer: transposed conv1d", lambda w, b, x: F.conv_transpose1d(x, w, b, 2, 1, 1)
    yield "layer: transposed conv2d of groups", lambda w, b, x: F.conv_transpose2d(x, w, b, (2, 3), groups=2)


def pooling():
    yield "layer: max pool 1d", lambda x: F.max_pool1d(x, 2)
    yield "layer: max pool 1d that overlaps", lambda x: F.max_pool1d(x, 3, 2, 1)
    yield "layer: max pool 2d", lambda x: F.max_pool2d(x, 2)
    yield "layer: max pool 2d of a remainder, in ceil mode", lambda x: F.max_pool2d(x, (2, 3), ceil_mode=True)
    yield "layer: max pool 2d that overlaps, padded and dilated", lambda x: F.max_pool2d(x, (2, 3), (2, 1), (1, 1), (2, 1))
    yield "layer: max pool 2d of negative numbers, padded", lambda x: F.max_pool2d(x, 3, 2, 1)
    yield "layer: mean pool 1d", lambda x: F.avg_pool1d(x, 2)
    yield "layer: mean pool 2d that overlaps, padded", lambda x: F.avg_pool2d(x, 3, 2, 1)
    uncounted = lambda x: F.avg_pool2d(x, (2, 3), 2, 1, ceil_mode=True, count_include_pad=False)
    yield "layer: mean pool 2d in ceil mode, not counting padding", uncounted
    yield "layer: adaptive mean pool 1d", lambda x: F.adaptive_avg_pool1d(x, 3)
    yield "layer: adaptive mean pool 2d", lambda x: F.adaptive_avg_pool2d(x, (3, 2))
    yield "layer: adaptive mean pool 2d to more than there are", lambda x: F.adaptive_avg_pool2d(x, 5)
    yield "layer: adaptive max pool 1d", lambda x: F.adaptive_max_pool1d(x, 3)
    yield "layer: adaptive max pool 2d", lambda x: F.adaptive_max_pool2d(x, (2, 3))
    yield "layer: global mean", lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1)
    yield "layer: global max", lambda x: F.adaptive_max_pool1d(x, 1).flatten(1)
    yield "layer: max pool 2d of large maps", lambda x: F.max_pool2d(x, 3, 2, 1)
    yield "mean pooling", lambda x: F.avg_pool2d(x, (2, 2))
    yield "max pooling", lambda x: F.max_pool2d(x, (2, 2))
    yield "layer: reflection pad", lambda x: nn.ReflectionPad2d((1, 2, 0, 1))(x)
    yield "layer: replication pad", lambda x: nn.ReplicationPad2d((1, 2, 3, 1))(x)
    yield "layer: unflatten and zero pad", lambda x: nn.ZeroPad2d(1)(x.unflatten(1, (2, 2, 3)))
    yield "layer: upsample", lambda x: nn.Upsample(scale_factor=2)(x)
    yield "layer: upsample, bilinear", lambda x: nn.Upsample(scale_factor=2, mode="bilinear")(x)


def normalisation():
    def trained(w, b, m, v, x):
        return F.batch_norm(x, m.detach().clone(), v.detach().clone(), w, b, True)

    yield "layer: batch norm of vectors, training", trained
    yield "layer: batch norm of vectors, evaluation", explicit_batch_norm
    yield "layer: batch norm of maps, training", trained
    yield "layer: batch norm of maps, evaluation", explicit_batch_norm
    yield "layer: batch norm without anything of its own, evaluation", lambda x: F.batch_norm(x, None, None, training=True)
    yield "layer: batch norm far from 0", lambda x: F.batch_norm(x, None, None, training=True)

    def averages(w, b, m, v, x):
        m, v = m.detach().clone(), v.detach().clone()
        F.batch_norm(x, m, v, w, b, True)
        return torch.cat([m, v])

    yield "layer: batch norm's running averages", averages

    def twice(w, b, m, v, x):
        m, v = m.detach().clone(), v.detach().clone()
        once = F.batch_norm(x, m, v, w, b, True, momentum=0.4)
        F.batch_norm(2 * once, m, v, w, b, True, momentum=0.4)
        return torch.cat([m, v])

    yield "layer: batch norm's running averages after two uses", twice
    yield "layer: layer norm", lambda w, b, x: F.layer_norm(x, (4,), w, b)
    yield "layer: layer norm over two axes", lambda x: F.layer_norm(x, (3, 4))
    yield "layer: RMS norm", lambda w, x: F.rms_norm(x, (4,), w, torch.finfo(torch.float32).eps)
    yield "layer: group norm", lambda w, b, x: F.group_norm(x, 2, w, b)
    yield "layer: group norm of vectors", lambda x: F.group_norm(x, 2)
    yield "layer: instance norm", lambda w, b, x: F.instance_norm(x, weight=w, bias=b)
    yield "layer norm", lambda x, w, b: F.layer_norm(x, (6,), w, b, EPS)
    yield "batch norm", lambda x, w, b: F.batch_norm(x, None, None, w.flatten(), b.flatten(), True, eps=EPS)


def explicit_batch_norm(w, b, m, v, x):
    """PyTorch has no gradient by the running averages, noyau has: its formula, written out."""
    w, b, m, v = (t.view(-1, *[1] * (x.dim() - 2)) for t in (w, b, m, v))
    return (x - m) / torch.sqrt(v + 1e-5) * w + b


def heads(embed, count):
    """Multi-head attention of x to itself by PyTorch's own function: in_proj weight and bias, out_proj weight and bias, x [batch, length, embed]."""

    def run(w, b, v, c, x, mask=None, padding=None, memory=None, out=0):
        x = x.transpose(0, 1)
        y = x if memory is None else memory.transpose(0, 1)
        y, weights = F.multi_head_attention_forward(
            *(x, y, y, embed, count, w, b, None, None, False, 0.0, v, c),
            attn_mask=mask,
            key_padding_mask=padding,
            average_attn_weights=False,
        )
        return weights if out else y.transpose(0, 1)

    return run


def attention():
    dot = F.scaled_dot_product_attention
    yield "layer: attention", dot
    # The docs of PyTorch's is_causal: the mask is the lower triangle from the first key, as noyau's is where the lengths differ.
    yield "layer: attention, causal", lambda q, k, v: dot(q, k, v, is_causal=True)
    yield "layer: attention with heads that share keys", lambda q, k, v: dot(q, k.expand(2, 3, 5, 4), v.expand(2, 3, 5, 2))
    some = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]], dtype=torch.bool)
    shut = torch.tensor([1.0, 0.0, 1.0])[:, None]
    yield "layer: attention with a mask that closes all to one query", lambda q, k, v: dot(q, k, v, some) * shut

    def biased(q, k, v, bias):
        open_keys = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)[:, None] & torch.ones(3, 5, dtype=torch.bool).tril()
        # The first query of the second element has no key left: its row is 0.
        nothing = ~open_keys.any(-1, keepdim=True)
        scores = torch.where(open_keys | nothing, bias.double(), torch.tensor(float("-inf")))
        return torch.where(nothing, 0.0, dot(q, k, v, scores))

    yield "layer: attention with a learned bias, causal and padded", biased
    yield "layer: multi-head attention", heads(4, 2)
    yield "layer: multi-head attention's weights", lambda *p: heads(4, 2)(*p, out=1)

    def other_widths(wq, wk, wv, b, v, c, q, key, value):
        y, _ = F.multi_head_attention_forward(
            *(t.transpose(0, 1) for t in (q, key, value)),
            *(4, 2, None, b, None, None, False, 0.0, v, c),
            use_separate_proj_weight=True,
            q_proj_weight=wq,
            k_proj_weight=wk,
            v_proj_weight=wv,
        )
        return y.transpose(0, 1)

    yield "layer: multi-head attention to keys and values of other widths", other_widths

    def turned(x, base):
        """Rotary encoding by complex numbers: pairs of the first and second half of the features turn by place / base^(2 i / d)."""
        half = x.shape[-1] // 2
        angles = torch.arange(x.shape[-2])[:, None] / base ** (torch.arange(half) / half)
        # The factors are stored in f32.
        z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles).to(torch.complex64)
        return torch.cat([z.real, z.imag], -1)

    yield "layer: rotary encoding", lambda x: turned(x, 100.0)

    def causal_rotary(w, v, x):
        q, k, u = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in F.linear(x, w).chunk(3, -1))
        y = dot(turned(q, 10000.0), turned(k, 10000.0), u, is_causal=True)
        return F.linear(y.transpose(1, 2).flatten(2), v)

    yield "layer: multi-head attention, causal, rotary, without bias", causal_rotary
    closed = "layer: attention with a closed key by a large negative number"
    yield closed, lambda q, k, v, bias: dot(q, k, v, bias)
    yield "layer: learned encoding", lambda w, x: x + w[:5]
    def of_heads(*p):
        q, k, v = (t.reshape(4, 2, 3).transpose(0, 1) for t in p)
        return dot(q, k, v, is_causal=True, scale=1 / ROOT).transpose(0, 1).reshape(4, 6)

    yield "attention", of_heads
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    yield "causal attention", lambda q, k, v: dot(q, k, v, causal, scale=1.0)

    def encode(p, x, activation=torch.tanh, first=False, mask=None, padding=None):
        """A transformer's encoder layer from its twelve parameters, in the order of the case."""
        w, b, v, c, w1, b1, w2, b2, s1, t1, s2, t2 = p
        norm1, norm2 = (lambda y: F.layer_norm(y, (4,), s1, t1)), (lambda y: F.layer_norm(y, (4,), s2, t2))
        mix = lambda y: heads(4, 2)(w, b, v, c, y, mask, padding)
        feed = lambda y: F.linear(activation(F.linear(y, w1, b1)), w2, b2)
        if first:
            x = x + mix(norm1(x))
            return x + feed(norm2(x))
        x = norm1(x + mix(x))
        return norm2(x + feed(x))

    yield "layer: transformer encoder, training", lambda *p: encode(p[:12], p[12])
    later = torch.ones(3, 3, dtype=torch.bool).triu(1)
    yield "layer: transformer encoder, norm first, causal, evaluation", lambda *p: encode(p[:12], p[12], F.gelu, True, later)

    def two_encoders(*p):
        padding = torch.tensor([[0, 0, 0], [0, 0, 1]], dtype=torch.bool)
        x = encode(p[:12], p[24], first=True, padding=padding)
        return F.layer_norm(encode(p[12:24], x, first=True, padding=padding), (4,))

    yield "layer: two transformer encoders, padded", two_encoders

    def decode(p, first):
        """A transformer's decoder layer whose norms have nothing of their own."""
        x, memory = p[12:]
        norm = lambda y: F.layer_norm(y, (4,))
        mask = torch.ones(3, 3, dtype=torch.bool).triu(1)
        self = lambda y: heads(4, 2)(*p[:4], y, mask)
        other = lambda y: heads(4, 2)(*p[4:8], y, memory=memory)
        feed = lambda y: F.linear(torch.tanh(F.linear(y, p[8], p[9])), p[10], p[11])
        for part in (self, other, feed):
            x = x + part(norm(x)) if first else norm(x + part(x))
        return x

    yield "layer: transformer decoder, training", lambda *p: decode(p, False)
    yield "layer: transformer decoder, norm first, evaluation", lambda *p: decode(p, True)

    def language_model(*p):
        table, words = p[0], p[1]
        places = F.embedding(words, table)
        rates = 10000 ** (-torch.arange(0, 4, 2) / 4)
        angles = torch.arange(3)[:, None] * rates
        positions = torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float().double()
        y = encode(p[2:14], places + positions, F.gelu, False, later)
        return F.log_softmax(y.reshape(6, 4) @ table.T, -1)

    yield "layer: a language model, evaluation", language_model


def recurrence():
    state = lambda layers, hidden: torch.zeros(layers, 2, hidden)

    def lstm(*p, out=0):
        *w, x = p
        return torch.lstm(x, (state(1, 3), state(1, 3)), w, True, 1, 0.0, True, False, True)[out]

    yield "layer: lstm, training", lstm
    yield "layer: lstm of one step", lstm

    def finals(*p):
        *w, x, h, c = p
        _, h, c = torch.lstm(x, (h, c), w, True, 1, 0.0, False, False, True)
        return 2 * h + c

    yield "layer: lstm, final states from given ones", finals

    def long(*p):
        *w, x = p
        return torch.lstm(x, (torch.zeros(1, 4, 16), torch.zeros(1, 4, 16)), w, True, 1, 0.0, True, False, True)[0]

    yield "layer: lstm of 12 steps", long
    yield "layer: gru, training", lambda *p: torch.gru(p[-1], state(1, 3), p[:-1], True, 1, 0.0, True, False, True)[0]
    yield "layer: gru, evaluation, from a given state", lambda *p: torch.gru(p[-1], p[-2], p[:-2], True, 1, 0.0, False, False, True)[0]
    both = lambda *p: torch.gru(p[-1], state(4, 2), p[:-1], False, 2, 0.0, True, True, True)[1]
    yield "layer: two grus in both directions, final states", both
    yield "layer: rnn, training", lambda *p: torch.rnn_tanh(p[-1], state(1, 3), p[:-1], True, 1, 0.0, True, False, True)[0]
    yield "layer: rnn, evaluation", lambda *p: torch.rnn_tanh(p[-1], state(1, 3), p[:-1], False, 1, 0.0, False, False, True)[0]
    yield "layer: rnn of relu", lambda *p: torch.rnn_relu(p[-1], state(1, 3), p[:-1], True, 1, 0.0, True, False, True)[0]


def composed():
    def two_layers(labels, x, w, b, v, c):
        hidden = torch.tanh(F.linear(x, w * 0.30000001192092896, b))
        return F.cross_entropy(F.linear(hidden, v, c), labels)

    yield "a network of two layers", two_layers

    def network(w, g, b, m, v, w2, b2, w3, b3, labels, x):
        x = F.conv2d(x, w, padding=1)
        x = torch.tanh(F.batch_norm(x, None, None, g, b, True))
        x = F.avg_pool2d(x, 2)
        x = x + torch.tanh(F.conv2d(x, w2, b2, padding="same"))
        return F.cross_entropy(F.linear(x.mean((2, 3)), w3, b3), labels)

    yield "layer: a convolutional network, training", network
    clipped = lambda g: g * torch.clamp(1 / (torch.linalg.vector_norm(g) + 9.999999974752427e-07), max=1.0)
    yield "gradient norm clipping", clipped
