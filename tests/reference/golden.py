"""Makes models.safetensors: three small networks by PyTorch's own modules, in float64.

For each: its parameters and buffers before (`model/before/name`) and after (`model/after/name`) three steps of Adam on the same data, the
loss before each step (`model/losses`), the gradients of the first (`model/gradient/name`), the first output (`model/output`), the data
(`model/x`, `model/labels`). Parameters and data are f32 numbers, so that every device starts from the very same values. Run it, with PyTorch 2
and safetensors, from anywhere:

    python tests/reference/golden.py

The same version of PyTorch makes the same bytes. tests/golden_models.rs has the same networks in noyau, with PyTorch's names of parameters.
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

PATH = pathlib.Path(__file__).parent / "models.safetensors"


def short(t):
    return t.float().double()


def convolutional():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(20, 3)
    )
    return model, torch.randn(6, 2, 8, 8), torch.randint(0, 3, (6,))


class Recurrent(nn.Module):
    """The last state of an LSTM of two layers, classified."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5, num_layers=2, batch_first=True)
        self.linear = nn.Linear(5, 4)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.linear(h[-1])


class Encoder(nn.Module):
    """Words to vectors, two transformer layers, the mean over words, classified."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.linear = nn.Linear(8, 3)

    def forward(self, x):
        return self.linear(self.encoder(self.embedding(x)).mean(1))


def recurrent():
    return Recurrent(), torch.randn(5, 4, 3), torch.randint(0, 4, (5,))


def transformer():
    return Encoder(), torch.randint(0, 9, (4, 5)), torch.randint(0, 3, (4,))


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    out = {}
    for name, make in (("cnn", convolutional), ("lstm", recurrent), ("transformer", transformer)):
        torch.manual_seed(20240)
        model, x, labels = make()
        for parameter in model.parameters():
            # Unlike one another, also where PyTorch begins with ones, zeros, or two layers of the same values.
            parameter.data = short(parameter.data + 0.2 * torch.randn_like(parameter))
        if x.is_floating_point():
            x = short(x)
        keep = lambda part, values: out.update({f"{name}/{part}/{key}": value.detach().numpy().copy() for key, value in values})
        state = [(key, value) for key, value in model.state_dict().items() if value.is_floating_point()]
        keep("before", [(key, value.float()) for key, value in state])
        out[f"{name}/x"] = (x.float() if x.is_floating_point() else x.int()).numpy()
        out[f"{name}/labels"] = labels.int().numpy()
        # The large eps keeps a gradient that is 0 but for rounding (a key's bias, a bias before batch norm) from becoming a step of its sign.
        adam = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-2)
        losses = []
        for step in range(3):
            adam.zero_grad()
            output = model(x)
            loss = F.cross_entropy(output, labels)
            loss.backward()
            if step == 0:
                out[f"{name}/output"] = output.detach().numpy()
                keep("gradient", [(key, p.grad) for key, p in model.named_parameters()])
            losses.append(loss.item())
            adam.step()
        out[f"{name}/losses"] = np.array(losses)
        keep("after", [(key, value) for key, value in model.state_dict().items() if value.is_floating_point()])
    save_file({key: np.asarray(out[key], order="C") for key in sorted(out)}, PATH)
    print(f"{PATH.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
