"""W3: the MNIST CNN (conv 3x3x16 same, ReLU, max-pool 2, conv 3x3x32 same, ReLU, max-pool 2, linear 1568-128, ReLU, linear 128-10; cross-entropy, SGD lr 0.05
momentum 0.9) in PyTorch on the CPU: samples a second, batch gathering included.

    python benches/peers/pytorch_cnn.py [BATCH] [WINDOWS] [THREADS]

Prints one JSON line: the median, least and greatest of so many windows of 20 steps each, after 10 to warm up.
"""
import gzip, json, statistics, sys, time
from pathlib import Path

import numpy as np
import torch
from torch import nn

batch = int(sys.argv[1]) if len(sys.argv) > 1 else 128
windows = int(sys.argv[2]) if len(sys.argv) > 2 else 7
if len(sys.argv) > 3:
    torch.set_num_threads(int(sys.argv[3]))
folder = Path(__file__).resolve().parents[2] / "examples/data/mnist"
images = np.frombuffer(gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8).reshape(-1, 1, 28, 28)
labels = np.frombuffer(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
x = torch.tensor(images, dtype=torch.float32) / 255
y = torch.tensor(labels, dtype=torch.int64)

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10),
)
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


run(10)
rates = []
for _ in range(windows):
    start = time.perf_counter()
    run(20)
    rates.append(20 * batch / (time.perf_counter() - start))
print(json.dumps({"workload": f"w3-b{batch}-rate", "peer": f"PyTorch {torch.__version__}", "median": statistics.median(rates), "min": min(rates), "max": max(rates), "unit": "samples/s"}))
