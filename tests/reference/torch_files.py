"""Makes the files in torch/: models as people save them with PyTorch, and what they give.

    torch/mlp.safetensors, torch/cnn.safetensors    safetensors.torch.save_file(model.state_dict()), nothing done to the names
    torch/layers.safetensors                        state dicts of single layers, each under the layer's name: `LSTM/weight_ih_l0`
    torch/results.safetensors                       `name/x` and `name/y`: an input of each in evaluation mode, and the result in f64

Run it, with PyTorch 2 and safetensors, from anywhere; the same version of PyTorch makes the same bytes:

    python tests/reference/torch_files.py

tests/torch_names.rs has the same models and layers in noyau, loads the files and compares the results.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "torch"


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 5)), torch.randn(7, 6, 8)


def cnn():
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2),
        nn.GELU(),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.GroupNorm(2, 4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    return model, torch.randn(3, 2, 12, 12)


def layers():
    """Each layer's name in noyau, PyTorch's layer, an input."""
    sequence = torch.randn(2, 4, 6)
    yield "Linear", nn.Linear(6, 3), torch.randn(4, 6)
    yield "Conv1d", nn.Conv1d(4, 6, 3, groups=2), torch.randn(2, 4, 9)
    yield "Conv2d", nn.Conv2d(3, 5, (2, 3), stride=2), torch.randn(2, 3, 7, 8)
    yield "ConvTranspose1d", nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), torch.randn(2, 4, 5)
    yield "ConvTranspose2d", nn.ConvTranspose2d(3, 5, (2, 3), stride=2, padding=1), torch.randn(2, 3, 4, 5)
    yield "Embedding", nn.Embedding(9, 4), torch.randint(0, 9, (2, 5))
    yield "BatchNorm", nn.BatchNorm2d(3), torch.randn(2, 3, 4, 4)
    yield "LayerNorm", nn.LayerNorm([4, 6]), sequence
    yield "GroupNorm", nn.GroupNorm(2, 4), torch.randn(2, 4, 5)
    yield "InstanceNorm", nn.InstanceNorm1d(4, affine=True), sequence
    yield "RmsNorm", nn.RMSNorm(6), sequence
    yield "Rnn", nn.RNN(6, 3, num_layers=2, batch_first=True), sequence
    yield "Lstm", nn.LSTM(6, 3, num_layers=2, bidirectional=True, batch_first=True), sequence
    yield "Gru", nn.GRU(6, 3, bidirectional=True, batch_first=True), sequence
    yield "MultiHeadAttention", nn.MultiheadAttention(6, 2, batch_first=True), sequence
    options = dict(dim_feedforward=10, dropout=0.0, batch_first=True)
    yield "TransformerEncoderLayer", nn.TransformerEncoderLayer(6, 2, **options), sequence
    layer = nn.TransformerEncoderLayer(6, 2, **options, activation="gelu", norm_first=True)
    yield "TransformerEncoder", nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(6), enable_nested_tensor=False), sequence
    yield "TransformerDecoderLayer", nn.TransformerDecoderLayer(6, 2, **options), sequence
    yield "TransformerDecoder", nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, **options), 2), sequence


def disturb(model):
    """Values unlike one another, also where PyTorch begins with ones, zeros, or two layers of the same values."""
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(torch.rand_like(value) + 0.5)
        elif value.is_floating_point():
            value.add_(0.2 * torch.randn_like(value))
        else:
            value.fill_(7)


def result(model, x):
    """The result in evaluation mode, in f64."""
    model = model.double().eval()
    x = x.double() if x.is_floating_point() else x
    with torch.no_grad():
        if isinstance(model, nn.MultiheadAttention):
            return model(x, x, x)[0]
        if isinstance(model, (nn.TransformerDecoderLayer, nn.TransformerDecoder)):
            # noyau's decoders look at no later place.
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            return model(x, x.flip(1), tgt_mask=later)
        y = model(x)
    return y[0] if isinstance(y, tuple) else y


def main():
    torch.set_num_threads(1)
    torch.manual_seed(20240)
    FOLDER.mkdir(exist_ok=True)
    results, parts = {}, {}
    for name, model, x in [("mlp", *mlp()), ("cnn", *cnn()), *layers()]:
        disturb(model)
        state = {key: value.clone() for key, value in model.state_dict().items()}
        if name in ("mlp", "cnn"):
            save_file(state, FOLDER / f"{name}.safetensors")
        else:
            parts |= {f"{name}/{key}": value for key, value in state.items()}
        results[f"{name}/x"] = x.clone() if x.is_floating_point() else x.int()
        results[f"{name}/y"] = result(model, x).contiguous()
    save_file(parts, FOLDER / "layers.safetensors")
    save_file(results, FOLDER / "results.safetensors")
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
