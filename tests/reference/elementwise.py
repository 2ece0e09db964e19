"""Functions of one and two elements, choices, conversions, activations and losses."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def f32(number):
    """What is left of a number in a program that is written in f32."""
    return float(np.float32(number))


def cases():
    yield from one_element()
    yield from two_elements()
    yield from choices()
    yield from numbers()
    yield from special()
    yield from activations()
    yield from losses()


def one_element():
    plain = {
        "abs": torch.abs,
        "ceil": torch.ceil,
        "cos": torch.cos,
        "erf": torch.erf,
        "exp": torch.exp,
        "expm1": torch.expm1,
        "floor": torch.floor,
        "log": torch.log,
        "log10": torch.log10,
        "log1p": torch.log1p,
        "neg": torch.neg,
        "reciprocal": torch.reciprocal,
        "relu": torch.relu,
        "round": torch.round,
        "rsqrt": torch.rsqrt,
        "sigmoid": torch.sigmoid,
        "sign": torch.sign,
        "sin": torch.sin,
        "sqrt": torch.sqrt,
        "square": torch.square,
        "tanh": torch.tanh,
    }
    yield from plain.items()
    yield "sign of zero", torch.sign
    yield "round halves to even", torch.round
    yield "floor and ceil of whole numbers", lambda x: torch.floor(x) + torch.ceil(x)
    yield "sqrt of zero and of large and small numbers", torch.sqrt
    yield "exp of large negative numbers", lambda x: torch.exp(x) + 1
    yield "expm1 near zero", torch.expm1
    yield "log of large and small numbers", torch.log
    yield "log1p near zero", torch.log1p
    yield "sin and cos of hundreds", lambda x: 2 * torch.sin(x) + torch.cos(x)
    yield "tanh far out", torch.tanh
    yield "tanh near zero", torch.tanh
    yield "erf far out and near zero", torch.erf
    yield "relu at zero", torch.relu
    yield "sigmoid far out", torch.sigmoid
    yield "clamp", lambda x: torch.clamp(x, -1, 0.5)
    for n in (-3, -1, 0, 1, 2, 5, 8):
        yield f"powi {n}", lambda x, n=n: torch.pow(x, n)
    yield "detach", lambda x, y: torch.sign(x.detach()) * y
    for shape in ([], [1], [1, 1, 1], [7, 1, 3], [2, 1, 2, 1, 2, 1, 2, 2]):
        yield f"a map of shape {shape}", lambda x: 2 * torch.tanh(x)


def two_elements():
    yield "add", torch.add
    yield "sub", torch.sub
    yield "mul", torch.mul
    yield "div", torch.div
    yield "rem", torch.fmod
    yield "rem of large quotients", torch.fmod
    yield "pow", torch.pow
    yield "pow of zero", torch.pow
    yield "pow of a number", lambda x: torch.pow(x, 2.5)
    yield "pow of negative bases and whole exponents", lambda x: torch.pow(x, torch.tensor([3.0, 2.0, 4.0, -1.0, 0.0, 5.0]))
    yield "minimum", lambda x: torch.minimum(*x.chunk(2))
    yield "maximum", lambda x: torch.maximum(*x.chunk(2))
    yield "maximum of equals", torch.maximum
    yield "minimum of equals", torch.minimum
    yield "numbers on the right", lambda x: (3 * x - 0.5) / 4 + 2
    yield "numbers on the left", lambda x: 2 / (1 + 3 * (0.5 - x))
    yield "a tensor with itself", lambda x: x**2 + 0.5 - x + 0 * x

    def chain(x):
        y = x
        for i in range(40):
            y = torch.sin(f32(0.9) * y + f32(np.float32(0.01) * np.float32(i)) * x)
        return y

    yield "long chains", chain
    shapes = [
        ([3, 4], [4]),
        ([3, 1], [1, 4]),
        ([2, 1, 3], [5, 1]),
        ([], [2, 3]),
        ([2, 3], []),
        ([1, 1, 1], [2]),
        ([4, 1, 1, 2], [3, 1, 2]),
        ([2, 1, 2, 1, 2, 1, 2, 1], [1, 2, 1, 2, 1, 2, 1, 2]),
        ([1], []),
    ]
    for a, b in shapes:
        yield f"broadcast {a} with {b}", lambda x, y: torch.addcmul(x, x, y) - y
    yield "nothing of shape [2, 0, 3]", lambda x, y: 2 * x + y
    yield "a scalar everywhere", lambda x, y, z: x * math.exp(y.item()) + z
    for kind in ("i32", "u32"):
        for name, function in (("minimum", torch.minimum), ("maximum", torch.maximum)):
            yield f"{kind} {name}", lambda x, function=function: function(x[:, None], x)
    for name, function in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul)):
        yield f"i32 {name}", lambda x, function=function: function(x[:, None], x)
    for name, function in (("and", torch.bitwise_and), ("or", torch.bitwise_or), ("xor", torch.bitwise_xor)):
        for kind in ("i32", "u32"):
            yield f"{kind} {name}", lambda x, function=function: function(x[:, None], x)
    yield "i32 relu", torch.relu
    yield "i32 not", torch.bitwise_not
    yield "i32 max and min", lambda x: x.amax(1) - x.amin(1)
    yield "i32 argmax and argmin", lambda x: 100 * x.argmax(1) + x.argmin(1)
    yield "u32 max and min", lambda x: x.amax(1) - x.amin(1)
    yield "i32 with numbers", lambda x: torch.div(3 - x * 5, 2, rounding_mode="trunc") + 1
    yield "i32 neg, abs, sign", lambda x: torch.stack([-x, x.abs(), x.sign()])
    yield "i32 of a mask", lambda x: torch.where(x > 0, x, -1).sum(1)


def choices():
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        function = getattr(torch, name)
        yield f"{name} of floats", function
        yield f"{name} of ints, broadcast", function
        yield f"{name} of uints", function
    yield "eq and ne of bools", lambda a, b: torch.ones_like(a)
    yield "logic of bools", lambda a, b, c: ((a & b) ^ ~c) | (b & ~a)
    yield "where", torch.where
    yield "where, all three broadcast", torch.where
    yield "where of numbers", lambda x, y: torch.where(x > 0, y, 7.0)
    yield "where of integers", torch.where
    yield "where of bools", torch.where
    yield "comparison as a number", lambda x, y: torch.where(x < y, 3.0, 0.0)
    yield "where hides what is not a number", lambda x: torch.sqrt(torch.clamp(x, min=0))
    yield "masked_fill", lambda mask, x: x.masked_fill(mask, -5.0)


def numbers():
    ieee = ("sqrt", "log", "log1p", "exp", "expm1", "reciprocal", "rsqrt", "tanh", "erf", "sin", "relu", "abs", "floor", "sigmoid")
    for name in ieee:
        yield f"ieee: {name}", getattr(torch, name)
    yield "ieee: x == x", lambda x: x == x
    for name in ("add", "mul", "div", "minimum", "maximum", "lt", "le", "ne", "pow"):
        yield f"ieee: {name} of all pairs", lambda a, b, f=getattr(torch, name): f(a[:, None], b)
    yield "ieee: sum", lambda x: x.sum(1)
    yield "ieee: max over infinities", lambda x: x.amax(1)
    yield "ieee: mean of nothing", lambda x: x.mean(1)
    yield "ieee: special isnan", torch.isnan
    yield "ieee: special isinf", torch.isinf
    yield "ieee: special isfinite", torch.isfinite
    yield "ieee: special isclose", lambda a, b: torch.isclose(a[:, None], b, f32(1e-5), f32(1e-8))
    for name in ("atan", "asin", "acos", "sinh", "cosh", "asinh", "acosh", "atanh", "erfc", "trunc"):
        yield f"ieee: special {name} of odd numbers", getattr(torch, name)
    yield "i32 to f32", lambda x: x.to(torch.float32)
    yield "bool to f32", lambda x: x.to(torch.float64)
    yield "bool to i32", lambda x: x.to(torch.int32)
    yield "i32 to bool", lambda x: x.to(torch.bool)
    yield "u32 to f32", lambda x: x.to(torch.float32)
    yield "f32 to f32", lambda x: x
    yield "f32 to bool", lambda x: x.to(torch.bool)
    yield "there and back", lambda x: x * torch.trunc(x.detach()) + x


def special():
    squared = {
        "tan": torch.tan,
        "atan": torch.atan,
        "asin": torch.asin,
        "acos": torch.acos,
        "sinh": torch.sinh,
        "cosh": torch.cosh,
        "asinh": torch.asinh,
        "acosh": torch.acosh,
        "atanh": torch.atanh,
        "exp2": torch.exp2,
        "log2": torch.log2,
        "logit": torch.logit,
        "sinc": torch.sinc,
        "erfc": torch.erfc,
        "rad2deg": torch.rad2deg,
        "deg2rad": torch.deg2rad,
        "logsigmoid": F.logsigmoid,
        "mish": F.mish,
        "softsign": F.softsign,
        "tanhshrink": F.tanhshrink,
    }
    for name, function in squared.items():
        yield f"special {name}", lambda x, f=function: f(x) ** 2
    for name in ("tan", "atan", "asin", "sinh", "asinh", "atanh"):
        yield f"special {name} at and near 0", getattr(torch, name)
        yield f"special {name} of tiny numbers", lambda x, f=getattr(torch, name): f(x) * f32(1e12)
    yield "special atan far out", torch.atan
    yield "special asin and acos at the ends", lambda x: torch.asin(x) + 2 * torch.acos(x)
    yield "special atan2", torch.atan2
    yield "special atan2 on the axes", torch.atan2
    yield "special asinh and acosh far out", lambda x: torch.asinh(x) + 2 * torch.acosh(x)
    yield "special erfc in its tail", torch.erfc
    yield "special exp2 of whole numbers", torch.exp2
    yield "special logaddexp", torch.logaddexp
    yield "special logaddexp far out and of equals", torch.logaddexp
    yield "special xlogy", torch.xlogy
    yield "special xlogy at 0", torch.xlogy
    yield "special sinc at 0", lambda x: torch.sinc(x) + torch.tensor([1.0, 0.0])
    yield "special round_decimals", lambda x: torch.round(x, decimals=2) + 10 * torch.round(x, decimals=-2)
    for name in ("isnan", "isinf", "isfinite", "nan_to_num"):
        yield f"special {name} of finite numbers", getattr(torch, name)
    yield "special hypot", torch.hypot
    yield "special remainder of floats", lambda x: torch.remainder(x[:, None], x)
    yield "special floor_divide of floats", lambda x: torch.floor_divide(x[:, None], x)
    yield "special fmod of floats", lambda x: torch.fmod(x[:, None], x)
    yield "special remainder's slope", lambda x: torch.remainder(x, f32(0.7))
    yield "special trunc", torch.trunc
    yield "special frac", torch.frac
    yield "special trunc and frac of large numbers", lambda x: torch.trunc(x) + torch.frac(x)
    yield "special heaviside", lambda x: torch.heaviside(x, torch.tensor(0.5))
    yield "special lerp", torch.lerp
    yield "special lerp by a number", lambda x, y: torch.lerp(x, y, 0.25)
    yield "special addcmul", lambda x, a, b: torch.addcmul(x, a, b, value=0.5)
    yield "special addcdiv", lambda x, a, b: torch.addcdiv(x, a, b, value=0.5)
    yield "special clamp_min and clamp_max", lambda x: torch.clamp(x, -1, 0.5)
    yield "special clamp_min of integers", lambda x: torch.clamp(x, -2, 3)
    yield "special isclose", lambda a, b: torch.isclose(a, b, f32(1e-5), f32(1e-8))


def activations():
    yield "gelu", F.gelu
    yield "gelu by tanh", lambda x: F.gelu(x, approximate="tanh")
    yield "silu", F.silu
    yield "softplus", F.softplus
    yield "softplus far out", F.softplus
    yield "elu", lambda x: F.elu(x, 1.5)
    yield "leaky relu", lambda x: F.leaky_relu(x, 0.1)
    yield "activation hardtanh", F.hardtanh
    yield "activation relu6", lambda x: F.relu6(4 * x)
    yield "activation hardsigmoid", hardsigmoid
    yield "activation hardswish", lambda x: F.hardswish(2 * x)
    yield "activation selu", F.selu
    yield "activation celu", lambda x: F.celu(x, f32(0.7))
    yield "activation softshrink", lambda x: F.softshrink(x, 1.0)
    yield "activation hardshrink", lambda x: F.hardshrink(x, 1.0)
    yield "activation threshold", lambda x: F.threshold(x, 1.0, -3.0)
    yield "activation glu", lambda x: F.glu(x, 1)
    yield "activation softplus_beta", lambda x: F.softplus(x * 2.5) * f32(1 / 2.5)
    yield "activation logsigmoid far out", F.logsigmoid


def hardsigmoid(x):
    """Written out: the gradient of PyTorch's own takes 1/6 in f32, whatever the type (2.15)."""
    return torch.clamp(2 * x / 6 + 0.5, 0, 1)


def losses():
    yield "mse", F.mse_loss
    yield "l1", lambda x: F.l1_loss(*x.chunk(2))
    yield "huber", lambda x, y: F.huber_loss(x, y, delta=1.0)
    yield "bce with logits", lambda t, x: F.binary_cross_entropy_with_logits(x, t.double())
    yield "bce with logits far out", lambda x: F.binary_cross_entropy_with_logits(x, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    yield "cross entropy of classes", lambda t, x: F.cross_entropy(x, t)
    yield "cross entropy of large logits", lambda t, x: F.cross_entropy(x, t)
    yield "nll", lambda t, x: F.nll_loss(F.log_softmax(x, 1), t)
    # PyTorch's of this name is the sum over classes of another thing; its soft margin's piecewise sister is written out.
    yield "hinge", lambda side, x: F.relu(1 - torch.where(side, 1.0, -1.0) * x).mean()
