"""Makes mlp.json: a small network's loss and all its gradients, computed by PyTorch in float64.

Inputs and weights are multiples of 1/1024, so that every device and every reader of decimals starts from the very same values. Run it (with PyTorch 2) from this folder:

    python make_mlp.py > mlp.json
"""

import json
import sys

import torch
from torch import nn

BATCH, INPUTS, CLASSES = 7, 6, 4
torch.manual_seed(20240)
torch.set_default_dtype(torch.float64)


def short(t):
    return (t.detach() * 1024).round() / 1024



layers = {"first": nn.Linear(INPUTS, 9), "second": nn.Linear(9, 8), "third": nn.Linear(8, CLASSES)}
for layer in layers.values():
    for parameter in layer.parameters():
        # Larger than the default, so that no gradient is close to zero.
        parameter.data = short(parameter * 2)
scale = short(torch.empty(8).uniform_(0.5, 1.5)).requires_grad_()
x = short(torch.randn(BATCH, INPUTS)).requires_grad_()
labels = torch.randint(0, CLASSES, (BATCH,))

hidden = torch.tanh(layers["first"](x))
hidden = nn.functional.gelu(layers["second"](hidden))
hidden = nn.functional.layer_norm(hidden, (8,), eps=1e-5) * scale
logits = layers["third"](hidden)
penalty = sum((p**2).sum() for p in layers["second"].parameters())
loss = nn.functional.cross_entropy(logits, labels) + 0.01 * penalty
loss.backward()

tensors = {f"{name}.{kind}": p for name, layer in layers.items() for kind, p in layer.named_parameters()}
tensors |= {"scale": scale, "x": x}
flat = lambda t: t.detach().flatten().tolist()
json.dump(
    {
        "made_by": f"PyTorch {torch.__version__.split('+')[0]}, float64",
        "labels": labels.tolist(),
        "loss": loss.item(),
        "logits": flat(logits),
        "tensors": [{"name": n, "shape": list(t.shape), "value": flat(t), "gradient": flat(t.grad)} for n, t in tensors.items()],
    },
    sys.stdout,
)
print()
