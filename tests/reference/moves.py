"""Views, joining, padding, resizing, gathers and scatters, sorting."""

import torch
import torch.nn.functional as F


def cases():
    yield from views()
    yield from chains()
    yield from arranged()
    yield from pads()
    yield from places()
    yield from sorting()
    yield from resizing()


def views():
    yield "reshape", lambda x: x.reshape(2, 6)
    yield "reshape to and from a scalar", lambda x: x.reshape(1)
    yield "flatten", lambda x: x.flatten(1, -2)
    for axes in ([1, 0, 2], [2, 1, 0], [1, 2, 0], [-1, 0, 1]):
        yield f"permute {axes}", lambda x, axes=axes: x.permute(axes)
    yield "permute eight axes", lambda x: x.permute(7, 2, 5, 0, 3, 6, 1, 4)
    yield "transpose", lambda x: x.transpose(0, -1)
    yield "t", lambda x: x.mT
    yield "unsqueeze and squeeze", lambda x: x[..., None]
    yield "slice", lambda x: x[1:4]
    yield "slice to the end and from the start", lambda x: x[2:, :3]
    yield "slice of nothing", lambda x: x[2:2]
    for step in (2, 3, 7):
        yield f"slice by {step}", lambda x, step=step: x[1:8:step]
    for step in (-1, -2, -3, -9):
        yield f"slice by {step}", lambda x, step=step: x[1:8].flip(0)[::-step]
    yield "select", lambda x: x[2]
    yield "flip", lambda x: x.flip(1)
    yield "flip of two axes", lambda x: x.flip(0, 2)
    yield "pad", lambda x: F.pad(x, (2, 3, 1, 0))
    yield "pad with a value", lambda x: F.pad(x, (0, 1, 1, 1), value=-7.5)
    yield "pad of integers", lambda x: F.pad(x, (2, 1), value=-4)
    yield "expand", lambda x: x.expand(2, 3, 4)

    def split(x):
        a, b, c = x.split(3, 1)
        return 2 * a[:, :1] + b[:, 1:2] - c

    yield "split", split
    for axis in (0, 1, -1):
        yield f"concat on {axis}", lambda *x, axis=axis: torch.cat(x, axis)
        yield f"stack on {axis}", lambda *x, axis=axis: torch.stack(x, axis)
    yield "concat of four, of different sizes", lambda *x: torch.cat(x)
    yield "concat with itself and its reverse", lambda x: torch.cat([x, x, x.flip(0)])
    yield "concat with nothing", lambda *x: torch.cat(x, 1)
    yield "concat of integers", lambda *x: torch.cat(x)
    yield "concat of bools", lambda *x: torch.cat(x)
    yield "concat of what is computed", lambda a, b: 2 * torch.cat([a.tanh(), 3 * b], 1)


def chains():
    yield "pad, then slice into the padding", lambda x: F.pad(x, (1, 1, 2, 2), value=0.5)[1:4, :5]
    yield "pad of a pad of another value", lambda x: F.pad(F.pad(x, (0, 1, 1, 0), value=1.0), (1, 1, 1, 1), value=2.0)
    yield "reshape across padding", lambda x: F.pad(x, (0, 1, 0, 1), value=9.0).reshape(2, 8)
    yield "reshape across a transposition", lambda x: x.T.reshape(6, 2)
    yield "reshape across a flip and a step", lambda x: x.flip(0, 1)[::2].reshape(4, 3)
    yield "permute of a slice of an expansion", lambda x: x[0, 1:3, None].repeat(1, 3)
    yield "repeat", lambda x: x.repeat_interleave(2, 0)
    yield "tile", lambda x: x.repeat(2, 1)
    yield "diagonal", torch.diagonal
    yield "a step of a step, backwards", lambda x: x.flip(0)[::2][1::3]
    yield "steps with gaps both ways", lambda x: x[::2, ::3] * x.flip(0, 1)[::2, ::3]
    yield "far along and back", lambda x: x.permute(2, 0, 1).reshape(8, 3).T.flip(1).reshape(3, 4, 2).permute(2, 0, 1)[..., 1:]
    yield "unfold of an unfold", lambda x: (x.unfold(0, 3, 1).unfold(1, 3, 2) ** 2).sum(-1)
    yield "unfold of a flipped, strided tensor", lambda x: x.flip(0)[1::2].unfold(0, 2, 1)
    yield "roll", lambda x: x.roll(2, 0)
    yield "windows", lambda x: x.unfold(0, 3, 1)
    yield "pixel shuffle", lambda x: x.reshape(2, 2, 2, 3).permute(2, 0, 3, 1).reshape(4, 6)
    yield "a view of what is computed", lambda x: 2 * torch.flip(x.T, [0]).tanh()
    yield "a tensor and its transpose", lambda x: x * x.T + x
    yield "a tensor and its neighbours", lambda x: x.diff(n=2)
    yield "a tensor and its reverse", lambda x: x * x.flip(0)
    yield "a padded tensor in a sum", lambda x, y: F.pad(x, (2, 2), value=1.0) * y
    yield "a sum's view in a map", lambda x, y: x.sum(1).flip(0)[:, None] * y
    yield "two convolutions' worth of views", lambda x: F.pad(x, (1, 1, 1, 1))[:, 1:5, 2::2].transpose(0, 1).reshape(8, 2)
    for size, step, dilation in ((1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 2, 1), (2, 3, 1), (3, 1, 2), (2, 2, 3), (4, 3, 1)):
        # A dilated window is every dilation-th element of a longer one.
        window = lambda x, axis, size=size, step=step, d=dilation: x.unfold(axis, (size - 1) * d + 1, step)[..., ::d]
        name = f"unfold {size} by {step}, dilation {dilation}"
        yield f"{name}, last axis", lambda x, window=window: window(x, -1)
        yield f"{name}, first axis, squared", lambda x, window=window: window(x, 0) ** 2
    yield "unfold of a padded tensor", lambda x: F.pad(x, (2, 1), value=0.5).unfold(1, 3, 1).sum(-1)
    yield "max over windows", lambda x: F.max_pool1d(x[None], 3, 2)[0]
    yield "mean over windows that overlap", lambda x: F.avg_pool1d(x[None], 4, 3)[0]
    yield "a reshape of windows", lambda x: x.unfold(0, 3, 1).reshape(6, 2)


def arranged():
    yield "repeat both axes", lambda x: x.repeat(2, 3)
    yield "repeat to new axes", lambda x: x.repeat(2, 1, 2)
    yield "tile the last axis", lambda x: x.tile(2)
    for axis in (0, 1, -1):
        yield f"repeat_interleave on {axis}", lambda x, axis=axis: x.repeat_interleave(3, axis)
    for shift in (-7, -1, 0, 2, 3, 8):
        yield f"roll by {shift}", lambda x, shift=shift: x.roll(shift, 1)
    yield "roll of the first axis", lambda x: x.roll(1, 0)
    told_apart = lambda pieces: torch.cat([(i + 1) * p.flatten() for i, p in enumerate(pieces)])
    yield "split_sizes", lambda x: told_apart(x.split([1, 3, 0, 2]))
    for count in (1, 2, 4):
        yield f"chunk into {count}", lambda x, count=count: told_apart(x.chunk(count, 1))
    yield "unbind", lambda x: told_apart(x.unbind(1))
    for a, b in ((0, 2), (2, 0), (-1, 1), (1, 1)):
        yield f"movedim {a} to {b}", lambda x, a=a, b=b: x.movedim(a, b)
    yield "swapaxes", lambda x: x.swapaxes(0, -1)
    yield "unflatten", lambda x: x.unflatten(-1, (3, 2)).permute(2, 0, 1)
    for turns in (-1, 0, 1, 2, 3, 5):
        yield f"rot90 by {turns}", lambda x, turns=turns: x.rot90(turns, (0, 1))
    yield "rot90 of other axes", lambda x: x.rot90(1, (-1, 0))
    yield "diff", lambda x: x.diff()
    yield "meshgrid", lambda *x: torch.stack(torch.meshgrid(*x, indexing="ij"))
    yield "hstack of matrices", lambda *x: torch.hstack(x)
    yield "hstack of vectors", lambda *x: torch.hstack(x)
    yield "vstack", lambda *x: torch.vstack(x)
    for offset in (-2, 0, 1):
        yield f"diag_embed {offset}", lambda x, offset=offset: torch.diag_embed(x, offset)
        yield f"diag of a vector {offset}", lambda x, offset=offset: torch.diag(x, offset)
        yield f"tril {offset}", lambda x, offset=offset: torch.tril(x, offset)
        yield f"triu {offset}", lambda x, offset=offset: torch.triu(x, offset)
    for rows, columns in ((3, 3), (2, 5), (5, 2), (1, 4)):
        for offset in (-2, -1, 0, 1, 3):
            # PyTorch refuses an offset beyond the matrix; noyau gives nothing, as NumPy does.
            if -rows <= offset <= columns:
                yield f"diagonal {offset} of [{rows}, {columns}]", lambda x, o=offset: F.pad(torch.diagonal(x, o), (1, 1), value=9.0)
    yield "diagonal above the main one", lambda x: torch.diagonal(x, 1)
    yield "diagonal of other axes", lambda x: torch.diagonal(x, -1, -1, 0)
    yield "diag of a matrix", lambda x: torch.diag(x, 1)
    yield "trace", lambda x: torch.trace(x)
    yield "tril of integers", torch.tril


def pads():
    for before, after in ((0, 0), (1, 0), (0, 2), (2, 3), (3, 3)):
        last = lambda x, mode, pad=(before, after): F.pad(x[None], pad, mode=mode)[0]
        yield f"pad_reflect ({before}, {after})", lambda x, last=last: last(x, "reflect")
        yield f"pad_circular ({before}, {after})", lambda x, last=last: last(x, "circular")
        yield f"pad_replicate ({before}, {after})", lambda x, last=last: last(x.T, "replicate").T
    yield "pad_reflect of images", lambda x: F.pad(x, (3, 1, 1, 2), mode="reflect")
    yield "pad_replicate of images", lambda x: F.pad(x, (3, 1, 4, 2), mode="replicate")
    yield "pad_circular of images", lambda x: F.pad(x, (4, 1, 1, 3), mode="circular")


def places():
    for axis in (0, 1, 2, -1):
        yield f"gather on {axis}", lambda i, x, axis=axis: x.gather(axis, i)
        yield f"scatter_add on {axis}", lambda i, x, y, axis=axis: x.scatter_add(axis, i, y)
        yield f"index_select on {axis}", lambda i, x, axis=axis: x.index_select(axis, i)
        yield f"index_add on {axis}", lambda i, x, y, axis=axis: x.index_add(axis, i, y, alpha=0.5)
    yield "gather through a view", lambda i, x: x.T.gather(1, i.T)
    yield "gather of what is computed, at computed places", lambda i, x: 2 * x.tanh().gather(1, (i + 1) % 4)
    yield "gather of integers", lambda i, x: x.gather(1, i)
    yield "gather of bools", lambda i, x: x.gather(1, i)
    yield "scatter_add of what is computed", lambda i, x, y: 2 * x.scatter_add(0, i, y.tanh())
    yield "scatter_add of an expansion", lambda i, x, y: x.scatter_add(1, i, y.expand(4, 6))
    yield "everything in one place", lambda x, y: torch.stack([x[0], x[1] + y.sum(), x[2]])
    yield "a class's logit", lambda i, x: F.log_softmax(x, 1).gather(1, i[:, None])
    yield "an embedding of repeated words", lambda words, table, scale: F.embedding(words, table) * scale
    yield "gather, then scatter_add back", lambda x, i: torch.zeros(4, 3).index_add(0, i, x[i] ** 2)
    yield "scatter_add out of range adds nothing", out_of_range
    yield "gather out of range reads 0", lambda i, x: padded_gather(x, i, 3)
    yield "gather with negative indices reads 0", lambda i, x: padded_gather(x, i.long() % 2**32, 3)
    yield "one_hot", lambda x: F.one_hot(x.clamp(max=5), 6)[..., :5]
    yield "a histogram", lambda x: torch.bincount(x, minlength=16)
    yield "bytes taken out of words", lambda x: torch.stack([x // 256**i % 256 for i in range(4)], -1).reshape(3, 8)
    yield "index_fill", lambda x: x.index_fill(1, torch.tensor([0, 3]), 2.5)
    yield "take", lambda i, x: x.take(i)
    yield "take_along_dim, broadcast", lambda i, x: x.take_along_dim(i, 1)
    yield "bincount", lambda x: torch.bincount(x[(x >= 0) & (x < 6)], minlength=6)
    yield "isin", torch.isin


def padded_gather(x, index, size):
    """Gathers from x with a column of zeros at its end, where every index from `size` on goes."""
    return F.pad(x, (0, 1)).gather(1, index.clamp(max=size))


def out_of_range(index, x, y):
    """Adds into one column more, to which every index that is out of range goes, and leaves it."""
    index = torch.where((index < 0) | (index > 2), 3, index.long())
    return F.pad(x, (0, 1)).scatter_add(1, index, y)[:, :3]


def large_sample(maps, x):
    return F.grid_sample(x, F.affine_grid(maps, (3, 2, 19, 11), align_corners=False), align_corners=False)


def sorting():
    for axis in (0, 1, 2, -1):
        for descending in (False, True):
            end = f"on {axis}, descending {str(descending).lower()}"
            yield f"sort {end}", lambda x, a=axis, d=descending: x.sort(a, descending=d)[0]
            yield f"argsort {end}", lambda x, a=axis, d=descending: x.argsort(a, descending=d)
    for descending in (False, True):
        end = str(descending).lower()
        yield f"argsort of equals, descending {end}", lambda x, d=descending: x.argsort(dim=1, descending=d, stable=True)
        yield f"argsort of equal floats over runs, descending {end}", lambda x, d=descending: x.argsort(dim=1, descending=d, stable=True)
        yield f"argsort of equal integers over runs, descending {end}", lambda x, d=descending: x.argsort(dim=0, descending=d, stable=True)
        yield f"argsort of bools, descending {end}", lambda x, d=descending: x.argsort(dim=0, descending=d, stable=True)
        yield f"ieee: sort of odd floats, descending {end}", lambda x, d=descending: x.sort(0, descending=d)[0]
        yield f"ieee: argsort of odd floats, descending {end}", lambda x, d=descending: x.argsort(dim=0, descending=d, stable=True)
        yield f"sort of bools, descending {end}", lambda x, d=descending: x.sort(0, descending=d)[0]
        ends = f"sort of the ends of u32, descending {end}"
        yield ends, lambda x, d=descending: x.argsort(dim=0, descending=d, stable=True)
        yield f"topk, largest {end}", lambda x, d=descending: x.topk(3, 1, d)[0]
        yield f"topk's places, largest {end}", lambda x, d=descending: x.topk(3, 0, d)[1]
        yield f"searchsorted, right {end}", lambda x, v, d=descending: torch.searchsorted(x.sort(0)[0], v, right=d)
        yield f"searchsorted in rows, right {end}", lambda x, v, d=descending: torch.searchsorted(x.sort(1)[0], v, right=d)
    yield "sort over two runs", lambda x: x.sort(0)[0]
    for n in (127, 128, 129, 256, 257, 1000, 2500):
        yield f"sort of {n}", lambda x, n=n: x.sort(0, descending=n % 2 == 0)[0]
        yield f"argsort of {n}", lambda x, n=n: x.argsort(dim=0, descending=n % 2 == 1, stable=True)
    yield "kthvalue", lambda x: x.kthvalue(3, 1)[0]
    yield "kthvalue's place", lambda x: x.kthvalue(7, 0)[1]
    yield "median of an odd number", lambda x: x.median(1)[0]
    yield "median of an even number", lambda x: x.median(0)[0]
    yield "ieee: median with NaN", lambda x: x.median(1)[0]
    for q in (0.0, 0.25, 0.3, 0.5, 1.0):
        yield f"quantile {q:g}", lambda x, q=q: x.quantile(q, 1)
    yield "a trimmed mean", lambda x: x.sort(1)[0][:, 2:6].mean(1)
    yield "sort of what is computed", lambda x, y: (2 * x.tanh()).sort(1)[0] * y


def resizing():
    for size in (1, 2, 3, 4, 6, 7, 12):
        yield f"upsample_nearest from 4 to {size}", lambda x, size=size: F.interpolate(x, size, mode="nearest")
        for align in (False, True):
            name = f"upsample_linear from 4 to {size}, align {str(align).lower()}"
            yield name, lambda x, size=size, align=align: F.interpolate(x, size, mode="linear", align_corners=align)
    for size in ((6, 8), (3, 5), (5, 2), (1, 1)):
        h, w = size
        yield f"upsample_nearest of an image to {h} x {w}", lambda x, size=size: F.interpolate(x, size, mode="nearest")
        for align in (False, True):
            name = f"upsample_bilinear to {h} x {w}, align {str(align).lower()}"
            yield name, lambda x, size=size, align=align: F.interpolate(x, size, mode="bilinear", align_corners=align)
    yield "upsample_nearest of a volume", lambda x: F.interpolate(x, (4, 3, 1), mode="nearest")
    for align in (False, True):
        place = lambda p, align=align: p if align else (2 * (p + 1) + 1) / 3 - 1
        sample = lambda x, p, align=align, place=place: F.grid_sample(x, place(p), align_corners=align)
        yield f"layer: grid_sample, align {str(align).lower()}", sample
        grid = lambda maps, align=align: F.affine_grid(maps, (2, 1, 3, 4), align_corners=align)
        yield f"layer: affine_grid, align {str(align).lower()}", grid
    yield "layer: grid_sample of a larger image", large_sample
    yield "upsample_bilinear of one pixel", lambda x: F.interpolate(x, (3, 2), mode="bilinear")
