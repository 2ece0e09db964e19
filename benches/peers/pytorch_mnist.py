"""W2: the MNIST MLP 784-512-256-10 (ReLU, cross-entropy, SGD lr 0.05 momentum 0.9) in PyTorch on the CPU: samples a second, batch gathering included.

    python benches/peers/pytorch_mnist.py [BATCH] [WINDOWS]

Prints one JSON line: the median, least and greatest of so many windows of 200 steps each, after 50 to warm up.
"""
import gzip, json, statistics, sys, time
from pathlib import Path

import numpy as np
import torch
from torch import nn

batch = int(sys.argv[1]) if len(sys.argv) > 1 else 128
windows = int(sys.argv[2]) if len(sys.argv) > 2 else 7
folder = Path(__file__).resolve().parents[2] / "examples/data/mnist"
images = np.frombuffer(gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8).reshape(-1, 784)
labels = np.frombuffer(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
x = torch.tensor(images, dtype=torch.float32) / 255
y = torch.tensor(labels, dtype=torch.int64)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
loss_function = nn.CrossEntropyLoss()


def batches():
    while True:
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            yield order[start : start + batch]


source = batches()


def run(steps):
    for _ in range(steps):
        index = next(source)
        optimizer.zero_grad()
        loss = loss_function(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
    return loss.item()


run(50)
steps = max(20, 200 * 128 // batch)
rates = []
for _ in range(windows):
    start = time.perf_counter()
    run(steps)
    rates.append(steps * batch / (time.perf_counter() - start))
print(json.dumps({"workload": f"w2-b{batch}-rate", "peer": f"PyTorch {torch.__version__}", "median": statistics.median(rates), "min": min(rates), "max": max(rates), "unit": "samples/s"}))
