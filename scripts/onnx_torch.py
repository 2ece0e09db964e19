"""Writes small PyTorch models as ONNX files, by both of PyTorch's exporters, with inputs, results and the losses of five steps of training.

    python scripts/onnx_torch.py crates/onnx/tests/torch     # needs torch, onnx, onnxscript, numpy

crates/onnx/tests/torch.rs reads them, so that no test needs PyTorch.
"""

import contextlib
import io
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

STEPS, RATE = 5, 0.1


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, groups=2)
        self.out = nn.Linear(6 * 9, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return self.out(F.leaky_relu(self.second(x), 0.1).flatten(1))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.batch = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.group, self.instance, self.layer = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm([4, 6, 6])
        with torch.no_grad():
            self.batch.running_mean.uniform_(-0.5, 0.5)
            self.batch.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = F.gelu(self.batch(self.conv(x)))
        return self.layer(F.silu(self.instance(F.hardswish(self.group(x))))).mean((2, 3))


class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.shuffle = nn.ConvTranspose2d(3, 8, 3, stride=2, padding=1, output_padding=1), nn.PixelShuffle(2)

    def forward(self, x):
        x = self.shuffle(self.up(x))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.interpolate(x, size=(9, 11), mode="bilinear", align_corners=False)
        x = F.interpolate(x, size=(7, 5), mode="bicubic", align_corners=True)
        return F.avg_pool2d(F.pad(x, (1, 2, 0, 1), mode="reflect"), 3, stride=2, ceil_mode=True)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.gru, self.rnn = nn.GRU(10, 3, batch_first=True), nn.RNN(3, 2, batch_first=True)

    def forward(self, x):
        return self.rnn(self.gru(self.lstm(x)[0])[0])[0]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.layer = nn.Embedding(11, 8), nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(8, 11)

    def forward(self, x):
        mask = torch.triu(torch.full((6, 6), float("-inf")), 1)
        return F.log_softmax(self.out(self.layer(self.table(x), src_mask=mask, is_causal=True)), -1)


class Choices(nn.Module):
    def forward(self, x):
        values, places = torch.topk(x, 3, dim=1)
        running = torch.cumsum(x, 1).gather(1, places)
        table = torch.zeros(x.shape[0], 7).scatter(1, places, values)
        turned = torch.einsum("bi,bj->bij", values, running).triu()
        return torch.cat([turned.flatten(1), table, F.one_hot(places[:, 0], 7).float(), torch.where(x > 0, x, -x)], 1)


def bare(path):
    """Takes the notes of the exporter out of a file: where in which program each node was made."""
    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


MODELS = {
    "cnn": (Cnn, lambda: torch.randn(3, 1, 14, 14)),
    "norms": (Norms, lambda: torch.randn(2, 3, 8, 8)),
    "sizes": (Sizes, lambda: torch.randn(2, 3, 4, 3)),
    "recurrent": (Recurrent, lambda: torch.randn(2, 5, 4)),
    "attention": (Attention, lambda: torch.randint(0, 11, (2, 6))),
    "choices": (Choices, lambda: torch.randn(3, 7)),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name, (make, data) in MODELS.items():
        torch.manual_seed(7)
        model, x = make().eval(), data()
        y = model(x)
        np.save(folder / f"{name}.x.npy", x.numpy().astype(np.int32 if x.dtype == torch.int64 else np.float32))
        np.save(folder / f"{name}.y.npy", y.detach().numpy())
        names = dict(input_names=["x"], output_names=["y"])
        for exporter, options in (
            ("script", dict(dynamo=False, opset_version=17, dynamic_axes={"x": {0: "batch"}} if name == "cnn" else None)),
            ("dynamo", dict(dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("batch")},) if name == "cnn" else None)),
        ):
            with contextlib.redirect_stdout(io.StringIO()):
                torch.onnx.export(model, (x,), str(folder / f"{name}.{exporter}.onnx"), **names, **options)
            bare(folder / f"{name}.{exporter}.onnx")
        if name == "cnn":
            labels, losses = torch.tensor([0, 3, 4]), []
            optimizer = torch.optim.SGD(model.parameters(), RATE)
            for _ in range(STEPS):
                loss = F.cross_entropy(model(x), labels)
                losses.append(loss.item())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            np.save(folder / f"{name}.losses.npy", np.array(losses, np.float32))
            np.save(folder / f"{name}.after.npy", model(x).detach().numpy())
    print("\n".join(f"{path.stat().st_size:8} {path.name}" for path in sorted(folder.iterdir())))


if __name__ == "__main__":
    main()
