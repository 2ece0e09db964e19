"""The workloads W1 to W6 in PyTorch.

    python benches/peers/pytorch_peer.py [--device cpu|cuda] [--mode eager|compile|graphs] [--quick] [NAME]..

`compile` is torch.compile of everything, `graphs` torch.compile with CUDA graphs (its mode "reduce-overhead"), for a GPU. On a GPU the data is there too and
batches are gathered there; f32 products do not use TF32 (those named -tf32 do).
"""

import time

import torch
import torch.nn.functional as F
from measure import TRAININGS, Peer, mnist, noise, peak_memory, tiny
from torch import nn

peer = Peer("PyTorch", ["cpu", "cuda"])
peer.engine = f"PyTorch {torch.__version__.split('+')[0]}" + ("" if peer.mode == "eager" else f" {peer.mode}")
device = torch.device(peer.device)
torch.manual_seed(0)


def compiled(f):
    if peer.mode == "eager":
        return f
    return torch.compile(f, mode="reduce-overhead" if peer.mode == "graphs" else None)


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize()


def repeated(f):
    """Runs of a function without gradients."""

    def runs(count):
        with torch.no_grad():
            for _ in range(count):
                f()
        wait()

    return runs


def products():
    sizes = [256, 512, 1024, 2048] + ([4096, 8192] if device.type == "cuda" else [])
    for n in sizes:
        kinds = [("", torch.float32, False)]
        if device.type == "cuda":
            kinds += [("-tf32", torch.float32, True), ("-f16", torch.float16, False)]
        for suffix, dtype, tf32 in kinds:
            name = f"w1-matmul-{n}{suffix}"
            if peer.wants(name):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                a, b = (torch.from_numpy(noise(n, n)).to(device, dtype) for _ in range(2))
                product = compiled(torch.mm)
                peer.rate(name, "GFLOP/s", 2e-9 * n**3, repeated(lambda: product(a, b)))
                torch.backends.cuda.matmul.allow_tf32 = False


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn():
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10),
    )


class Training:
    """A network in training on MNIST."""

    def __init__(self, model, batch, x, y):
        self.x, self.y, self.batch = x, y, batch
        self.model = model.to(device)
        # One kernel for all parameters where there is one.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9, fused=device.type == "cuda" or None)
        self.source = self.batches()
        self.forward = compiled(lambda x, y: F.cross_entropy(self.model(x), y))
        self.update = compiled(self.optimizer.step) if peer.mode != "eager" else self.optimizer.step

    def batches(self):
        while True:
            order = torch.randperm(len(self.x), device=device)
            for start in range(0, len(self.x) - self.batch + 1, self.batch):
                yield order[start : start + self.batch]

    def steps(self, count):
        for _ in range(count):
            index = next(self.source)
            self.optimizer.zero_grad()
            loss = self.forward(self.x[index], self.y[index])
            loss.backward()
            self.update()
        self.loss = loss.item()


def trainings():
    if not any(map(peer.wants, TRAININGS)):
        return
    images, labels = mnist()
    x, y = torch.from_numpy(images).to(device), torch.from_numpy(labels.astype("int64")).to(device)
    # First of all: nothing has been compiled yet in this process.
    for name, model in [("w2-b128-first-step", mlp), ("w3-b128-first-step", cnn)]:
        if peer.wants(name):
            start = time.perf_counter()
            Training(model(), 128, x, y).steps(1)
            peer.line(name, "ms", [1e3 * (time.perf_counter() - start)])
            break
    for name, model, batch in [("w2-b128-rate", mlp, 128), ("w2-b1024-rate", mlp, 1024), ("w3-b128-rate", cnn, 128)]:
        if peer.wants(name):
            training = Training(model(), batch, x, y)
            peer.rate(name, "samples/s", batch, training.steps)
            assert training.loss < 2.4, (name, training.loss)
    if peer.wants("w2-peak-memory"):
        Training(mlp(), 128, x, y).steps(600)
        peer.line("w2-peak-memory", "MiB", [peak_memory()])


def small():
    x, y = (torch.from_numpy(values).to(device) for values in tiny())
    for name, read in [("w4-steps", False), ("w4-steps-loss-read", True)]:
        if not peer.wants(name):
            continue
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
        forward = compiled(lambda: F.mse_loss(model(x), y))

        def steps(count):
            for _ in range(count):
                optimizer.zero_grad()
                loss = forward()
                loss.backward()
                optimizer.step()
                if read:
                    loss.item()
            wait()

        peer.rate(name, "steps/s", 1, steps)


def expressions():
    n = 1 << 24
    if peer.wants("w5-gelu"):
        x = torch.from_numpy(noise(n)).to(device)
        gelu = compiled(lambda: F.gelu(1.5 * x + 0.5))
        peer.rate("w5-gelu", "GB/s", 8e-9 * n, repeated(gelu))
    if peer.wants("w5-sum"):
        x = torch.ones(n, device=device)
        add = compiled(lambda: x.sum())
        assert add().item() == n
        peer.rate("w5-sum", "GB/s", 4e-9 * n, repeated(add))
    if peer.wants("w6-softmax"):
        x = torch.from_numpy(noise(4096, 4096)).to(device)
        peer.rate("w6-softmax", "GB/s", 8e-9 * 4096 * 4096, repeated(compiled(lambda: torch.softmax(x, -1))))
    if peer.wants("w6-layernorm"):
        x, w, b = (torch.from_numpy(noise(*shape)).to(device) for shape in [(4096, 1024), (1024,), (1024,)])
        peer.rate("w6-layernorm", "GB/s", 8e-9 * 4096 * 1024, repeated(compiled(lambda: F.layer_norm(x, (1024,), w, b))))


trainings()
products()
small()
expressions()
