"""Reductions, scans, norms, matrix products and einsum."""

import torch
import torch.nn.functional as F


F32_THOUSANDTH = 0.0010000000474974513


def cases():
    yield from reductions()
    yield from scans()
    yield from norms()
    yield from products()
    yield from sums_by_letters()


def reductions():
    everything = lambda axes: tuple(axes) or None
    for axes in ([], [0], [1], [2], [-1], [0, 1], [0, 2], [1, 2], [2, 0, 1]):
        dim = everything(axes)
        yield f"sum over {axes}", lambda x, dim=dim: x.sum(dim)
        yield f"mean over {axes}, kept", lambda x, dim=dim or (0, 1, 2): x.mean(dim, keepdim=True)
    yield "sum", torch.sum
    yield "sum, kept", lambda x: x.sum(1, keepdim=True)
    yield "mean", torch.mean
    yield "mean over an axis", lambda x: x.mean(1)
    yield "sum of squares", lambda x: torch.dot(x.flatten(), x.flatten())
    yield "prod", lambda x: x.prod(1)
    yield "prod with a zero", lambda x: x.prod(1)
    yield "prod over all", torch.prod
    for axes in ([], [0], [1], [-1], [0, 2], [1, 0]):
        dim = axes or (0, 1, 2)
        yield f"max over {axes}", lambda x, dim=dim: x.amax(dim)
        yield f"min over {axes}", lambda x, dim=dim: x.amin(dim)
    yield "max and min, kept", lambda x: x.amax(1, keepdim=True) - x.amin(0, keepdim=True)
    yield "max of equals", lambda x: x.amax(1)
    yield "min of equals", lambda x: x.amin(1)
    yield "max of negative numbers", lambda x: x.amax(1)
    yield "min of positive numbers", lambda x: x.amin(1)
    for axis in (0, 1, -1):
        yield f"argmax over {axis}", lambda x, axis=axis: x.argmax(axis)
        yield f"argmin over {axis}", lambda x, axis=axis: x.argmin(axis)
    yield "argmax of equals is the first", lambda x: x.argmax(1)
    yield "argmin of equals is the first", lambda x: x.argmin(1)
    for axis in (0, 1, 2, -1):
        yield f"softmax over {axis}", lambda x, axis=axis: x.softmax(axis)
        yield f"log_softmax over {axis}", lambda x, axis=axis: x.log_softmax(axis)
    yield "softmax of a vector, twice", lambda x: x.softmax(0)
    yield "log_softmax, twice", lambda x: x.log_softmax(1)
    yield "softmax of large numbers", lambda x: x.softmax(1)
    yield "log_softmax of large numbers", lambda x: x.log_softmax(1)
    yield "logsumexp", lambda x: x.logsumexp(1, keepdim=True)
    yield "logsumexp over all", lambda x: x.logsumexp((0, 1), keepdim=True)
    yield "logsumexp of large numbers", lambda x: x.logsumexp(1, keepdim=True)
    yield "logsumexp, axes removed", lambda x: x.logsumexp(1)
    yield "logsumexp over all, axes removed", lambda x: x.logsumexp((0, 1))
    yield "ieee: logsumexp of infinities", lambda x: x.logsumexp(1)
    yield "a reduction's result used twice", lambda x: x.sum(1).exp() * F32_THOUSANDTH + x.sum(1).log() + x.sum(1) ** 2
    for correction in (0, 1):
        yield f"var, correction {correction}", lambda x, c=correction: x.var(1, correction=c)
        yield f"var over two axes, correction {correction}", lambda x, c=correction: x.var((0, 2), correction=c)
    yield "a softmax of a softmax", lambda x: x.softmax(1).softmax(0)
    yield "a row's sum, maximum and mean together", lambda x: x.sum(1)[:, None] * x.max(1)[0][:, None] + x.mean(1)[:, None] * x
    yield "sums over different axes together", lambda x: torch.outer(x.sum(1), x.sum(0)) + x.sum()
    yield "sum over an axis of size 1", lambda x: x[:, 0]
    yield "max over an axis of size 1", lambda x: x[:, 0]
    yield "sum over nothing", lambda x: x.sum(1)
    yield "prod over nothing", lambda x: x.prod(1)
    yield "sum to nothing", lambda x: x.sum(1)
    yield "sum of a scalar", torch.sum
    yield "sum over three of five axes", lambda x: x.sum((0, 2, 4))
    yield "sum over every other of eight axes", lambda x: x.sum((0, 3, 5, 7))
    yield "sum of an expanded tensor", lambda x: x.expand(3, 4, 5).sum((0, 2))
    yield "sum of a transposed tensor", lambda x: x.sum(1)
    yield "max of a flipped tensor", lambda x: x.amax(1)
    yield "sum of a padded tensor", lambda x: F.pad(x, (0, 4, 1, 2), value=0.5).sum(1)
    yield "sum of a strided tensor", lambda x: x[1::3].sum(0)
    yield "sum of rows that are computed", lambda x, y: (x * y).tanh().sum(1)
    yield "argmax of what is computed", lambda x: x.argmin(1)
    yield "accuracy", lambda labels, x: (x.argmax(-1) == labels).sum()
    yield "cumulative sum", lambda x: x.cumsum(1)


def scans():
    for axis in (0, 1, 2, -1, -2):
        yield f"cumsum on {axis}", lambda x, axis=axis: x.cumsum(axis)
        yield f"cumprod on {axis}", lambda x, axis=axis: x.cumprod(axis)
        yield f"cummax on {axis}", lambda x, axis=axis: x.cummax(axis)[0]
        yield f"cummax's places on {axis}", lambda x, axis=axis: x.cummax(axis)[1]
        yield f"logcumsumexp on {axis}", lambda x, axis=axis: x.logcumsumexp(axis)
    yield "cumsum, twice", lambda x: x.cumsum(1).tanh()
    yield "cumprod, twice", lambda x: x.cumprod(1)
    yield "cumprod with a zero and negative elements", lambda x: x.cumprod(1)
    yield "cummin", lambda x: x.cummin(1)[0]
    yield "logcumsumexp, twice", lambda x: x.logcumsumexp(0)
    yield "cumsum over chunks", lambda x: x.cumsum(1)
    yield "cumprod over chunks", lambda x: x.cumprod(0)
    yield "cummax over chunks", lambda x: x.cummax(1)[0]
    yield "cummin over chunks", lambda x: x.cummin(0)[0]
    yield "logcumsumexp over chunks", lambda x: x.logcumsumexp(1)
    yield "cummax's places over chunks, with equals", lambda x: x.cummax(1)[1]
    yield "cummin's places over chunks, with equals", lambda x: x.cummin(1)[1]
    yield "logcumsumexp of large numbers", lambda x: x.logcumsumexp(1)
    yield "cummax of equals goes to the last", lambda x: x.cummax(0)[0]
    yield "cumsum of what is computed", lambda x, y: torch.sin(torch.cumsum(x.tanh() * y, 0))
    yield "a running mean", lambda x: x.cumsum(1) / torch.arange(1, 41)
    yield "ieee: cumsum stays on its side of a NaN", lambda x: x.cumsum(0)
    yield "ieee: cumsum of infinities", lambda x: x.cumsum(0)
    yield "ieee: cummax of NaN and infinity", lambda x: x.cummax(0)[0]
    yield "ieee: places of cummax with NaN", lambda x: x.cummax(0)[1]
    yield "ieee: logcumsumexp of infinities", lambda x: x.logcumsumexp(0)


def norms():
    yield "norm", torch.linalg.vector_norm
    for text, p in (("0.5", 0.5), ("1", 1), ("2", 2), ("3", 3), ("-1", -1), ("inf", float("inf")), ("-inf", float("-inf"))):
        small = 0.05000000074505806  # 0.05 in f32
        yield f"vector_norm {text}", lambda x, p=p: torch.linalg.vector_norm(x + small, p, 1)
        yield f"vector_norm {text} over two axes, kept", lambda x, p=p: torch.linalg.vector_norm(x + small, p, (0, 2), keepdim=True)
    yield "vector_norm 0", lambda x: torch.linalg.vector_norm(x, 0, 1)
    for text, p in (("1", 1), ("2", 2), ("3", 3), ("inf", float("inf"))):
        yield f"vector_norm {text} with zeros", lambda x, p=p: torch.linalg.vector_norm(x, p)
        yield f"vector_norm {text} of nothing but zeros", lambda x, p=p: torch.linalg.vector_norm(x, p, 1)
    yield "normalize of zeros", lambda x: F.normalize(x, eps=9.999999960041972e-13)
    yield "cdist to itself", lambda x: torch.cdist(x, x)
    yield "norm of an empty axis", lambda x: torch.linalg.vector_norm(x, 2, 1)
    yield "normalize", lambda x: F.normalize(x)
    yield "cosine_similarity", F.cosine_similarity
    yield "cosine_similarity, broadcast", lambda x, y: F.cosine_similarity(x, y, -1)
    yield "pairwise_distance", lambda x, y: F.pairwise_distance(x, y, eps=9.999999974752427e-07)
    for text, p in (("1", 1.0), ("2", 2.0), ("3", 3.0), ("inf", float("inf"))):
        yield f"cdist {text}", lambda x, p=p: torch.cdist(x[:12].reshape(4, 3), x[12:27].reshape(5, 3), p)
    yield "cdist of batches", lambda x, y: torch.cdist(x, y)
    yield "std", lambda x: x.std(1)
    yield "var_mean", lambda x: 3 * x.var(0, correction=0) + x.mean(0)
    yield "std_mean", lambda x: 3 * x.std(-1) + x.mean(-1)
    yield "aminmax", lambda x: x.aminmax(dim=1).max - x.aminmax(dim=1).min
    yield "ieee: nansum and nanmean", lambda x: torch.stack([x.nansum(1), x.nanmean(1)])
    yield "all and any of nothing", lambda a, b: torch.cat([a.all(1), b.any(1)])
    yield "normalised rows", lambda x: F.layer_norm(x, (8,), eps=F32_THOUSANDTH)


def products():
    shapes = [
        ([2, 3], [3, 4]),
        ([1, 1], [1, 1]),
        ([1, 5], [5, 1]),
        ([5, 1], [1, 5]),
        ([4], [4]),
        ([4], [4, 3]),
        ([3, 4], [4]),
        ([2, 3, 4], [2, 4, 2]),
        ([2, 3, 4], [4, 2]),
        ([3, 4], [2, 4, 2]),
        ([2, 1, 2, 3], [3, 3, 2]),
        ([1, 2, 3], [2, 3, 2]),
        ([2, 1, 1, 2, 2], [1, 2, 1, 2, 2]),
        ([4], [2, 4, 3]),
        ([2, 3, 4], [4]),
    ]
    for a, b in shapes:
        yield f"matmul {a} x {b}", torch.matmul
    yield "matmul, twice", lambda x, y: torch.tanh(x @ y)
    yield "matmul [2, 0] x [0, 3]", lambda x, y: x @ y + 1
    yield "matmul of 17 x 33 x 65", torch.matmul
    yield "transposed matmul of 17 x 33 x 65", lambda x, y: x.T @ y.T
    yield "product with the transpose", lambda x: x @ x.T
    yield "transposed x plain", lambda x, y: x.T @ y
    yield "plain x transposed", F.linear
    yield "transposed x transposed", lambda x, y: (y @ x).T
    yield "sliced operands", lambda x, y: x[1:4, 1:5] @ y[::2]
    yield "flipped operands", lambda x, y: x.flip(0) @ y.flip(0, 1)
    yield "expanded operands", lambda x, y: x.expand(3, 4) @ y.expand(4, 2)
    yield "padded operands", lambda x, y: F.pad(x, (1, 1, 1, 0)) @ F.pad(y, (0, 0, 0, 1), value=0.5)
    yield "permuted batches", lambda x, y: torch.einsum("ibk,kbj->bij", x, y)
    yield "heads", lambda x, y: torch.einsum("ihd,jhd->hij", x.view(3, 2, 4), y.view(3, 2, 4))
    yield "operands that are computed", lambda x, y: 2 * x @ y.sqrt()
    yield "three in a row", lambda *x: torch.linalg.multi_dot(x)
    yield "bias and activation", lambda x, w, b: torch.tanh(torch.addmm(b, x, w))
    yield "bias along the rows", lambda x, w, s: torch.sin(x @ w * s + 1)
    yield "a product's transpose used", lambda x, w, y: (x @ w).T + y
    yield "a product's sum", lambda x, w: (x @ w).sum(1)
    yield "a product's softmax", lambda x, w: (x @ w).softmax(1)
    yield "two products added", lambda a, b, c, d: torch.cat([a, c], 1) @ torch.cat([b, d])
    yield "a product used twice", lambda a, b: (a @ b) ** 2 + (a @ b).T
    yield "a product reshaped into the next", lambda a, b, c: (a @ b).reshape(8, 3) @ c
    yield "convolution as a product of windows", lambda x, w: F.conv1d(x[:, None], w.T[:, None]).transpose(1, 2)
    yield "mm", torch.mm
    yield "bmm", torch.bmm
    yield "mv", torch.mv
    yield "dot", torch.dot
    yield "outer", torch.outer
    yield "kron", torch.kron
    yield "kron of other ranks", torch.kron
    yield "cross", torch.linalg.cross
    yield "cross along the first axis", lambda x, y: torch.linalg.cross(x, y.expand(3, 2), dim=0)
    yield "log of a triangle's determinant", lambda x: torch.logdet(torch.tril(x))


def sums_by_letters():
    equations = [
        ("ij->ji", [[3, 4]]),
        ("ij", [[3, 4]]),
        ("ba", [[3, 4]]),
        ("ij->", [[3, 4]]),
        ("ij->j", [[3, 4]]),
        ("ii->i", [[4, 4]]),
        ("ii", [[4, 4]]),
        ("iij->j", [[3, 3, 4]]),
        ("iijj->ij", [[2, 2, 3, 3]]),
        ("iii->i", [[3, 3, 3]]),
        ("...ij->...ji", [[2, 3, 4]]),
        ("i...->...", [[2, 3, 4]]),
        ("...", [[2, 3]]),
        ("->", [[]]),
        ("i,i->", [[5], [5]]),
        ("i,i->i", [[5], [5]]),
        ("i,j->ij", [[5], [3]]),
        ("i,j", [[5], [3]]),
        ("ij,j->i", [[3, 4], [4]]),
        ("ij,jk->ik", [[3, 4], [4, 2]]),
        ("ij,jk", [[3, 4], [4, 2]]),
        ("ij,kj->ki", [[3, 4], [2, 4]]),
        ("bij,bjk->bik", [[2, 3, 4], [2, 4, 2]]),
        ("bhqd,bhkd->bhqk", [[2, 2, 3, 4], [2, 2, 5, 4]]),
        ("bqhd,bkhd->bhqk", [[2, 3, 2, 4], [2, 5, 2, 4]]),
        ("...ij,...jk->...ik", [[2, 1, 3, 4], [5, 4, 2]]),
        ("i...,i...", [[3, 2], [3, 2]]),
        ("ijk,ilm,njm,nlk->", [[2, 3, 2], [2, 2, 3], [2, 3, 3], [2, 2, 2]]),
        ("ij,jk,kl->il", [[2, 3], [3, 4], [4, 2]]),
        ("bn,anm,bm->ba", [[2, 3], [4, 3, 2], [2, 2]]),
        ("ij,ij,ij->j", [[3, 4], [3, 4], [3, 4]]),
        ("ik,jk->i", [[3, 4], [5, 4]]),
        ("ij,jk->ik", [[3, 1], [4, 2]]),
        (" i j , j -> i ", [[3, 4], [4]]),
    ]
    for equation, shapes in equations:
        yield f"einsum {equation} of {shapes}", lambda *x, equation=equation: torch.einsum(equation, *x)
    yield "einsum of capitals before small letters", lambda x: torch.einsum("aB", x)
    yield "einsum, twice", lambda x, y: (x @ y).T.tanh()
    yield "einsum of a tensor with itself", lambda x: x @ x.T
    yield "einsum of integers", lambda x, y: torch.einsum("ij,kj->ik", x, y)
    yield "tensordot", lambda x, y: torch.tensordot(x, y, ([1, 2], [2, 0]))
    yield "tensordot over no axes", lambda x, y: torch.tensordot(x, y, 0)
    yield "tensordot over all axes", lambda x, y: torch.tensordot(x, y, ([-2, -1], [1, 0]))
