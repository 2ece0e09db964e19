"""Makes pytorch.safetensors: what PyTorch computes in float64 for the cases of tests/cases, value and gradients.

The expressions are in elementwise.py, moves.py, sums.py and networks.py, each from a case's name to a function of the case's parameters. They
were written from the names and PyTorch's documentation, so that a mistake in noyau's expression or rule is not repeated here. The data
is noyau's; to make all anew, from the root of the repository, with PyTorch 2, numpy and safetensors installed:

    cargo test --test reference -- --ignored write_inputs
    python tests/reference/make.py

The file holds, for each case, the data `case/p0`.. and the weights `case/w` that it was given, the value `case/y`, and the gradients
`case/g0`.. of sum(y * w) by the float data. The same data give the same bytes with the same version of PyTorch. golden.py makes the
numbers of whole models.
"""

import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

import elementwise
import moves
import networks
import sums

HERE = pathlib.Path(__file__).parent
INPUTS = HERE.parent.parent / "target" / "reference-inputs.safetensors"


def leaf(array):
    """A case's parameter: floats in float64 with a gradient, unsigned integers in the type that PyTorch indexes with."""
    if array.dtype == np.float32:
        return torch.tensor(array.astype(np.float64), requires_grad=True)
    if array.dtype == np.uint32:
        return torch.tensor(array.astype(np.int64))
    return torch.tensor(array)


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs = load_file(INPUTS)
    data = {}
    for key, array in inputs.items():
        name, what = key.rsplit("/", 1)
        data.setdefault(name, {})[what] = array

    expressions = {}
    for part in (elementwise, moves, sums, networks):
        for name, expression in part.cases():
            assert name not in expressions, f"{name} is written twice"
            expressions[name] = expression

    out, unknown, failed = {}, [], []
    for name, expression in expressions.items():
        if name not in data:
            unknown.append(name)
            continue
        given = data[name]
        arrays = [given[f"p{i}"] for i in range(sum(what.startswith("p") for what in given))]
        leaves = [leaf(array) for array in arrays]
        try:
            value = expression(*leaves)
        except Exception as error:
            failed.append(f"{name}: {error}")
            continue
        for i, array in enumerate(arrays):
            out[f"{name}/p{i}"] = array
        out[f"{name}/y"] = value.detach().to(torch.float64).resolve_neg().contiguous().numpy()
        if "w" not in given:
            continue
        if value.shape != given["w"].shape:
            failed.append(f"{name}: PyTorch's value is {list(value.shape)}, noyau's {given['w'].shape}")
            continue
        out[f"{name}/w"] = given["w"]
        loss = (value * torch.tensor(given["w"].astype(np.float64))).sum()
        floats = [t for t in leaves if t.requires_grad]
        found = iter(torch.autograd.grad(loss, floats, allow_unused=True, materialize_grads=True))
        for i, t in enumerate(leaves):
            if t.requires_grad:
                out[f"{name}/g{i}"] = next(found).contiguous().numpy()

    if failed:
        sys.exit("\n".join(failed))
    # Of equal values there is one way to write a file: by name.
    save_file({key: np.asarray(out[key], order="C") for key in sorted(out)}, HERE / "pytorch.safetensors")
    print(f"{len(expressions) - len(unknown)} cases, {(HERE / 'pytorch.safetensors').stat().st_size:,} bytes")
    if unknown:
        print("not in the case list, or too large:", *unknown, sep="\n  ")
    if "-v" in sys.argv:
        print("without an expression:", *sorted(set(data) - set(expressions)), sep="\n  ")


if __name__ == "__main__":
    main()
