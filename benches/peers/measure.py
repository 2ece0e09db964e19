"""What the Python peers share: arguments, windows, lines of results, MNIST. Windows are those of noyau's report."""

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "examples/data/mnist"


TRAININGS = ["w2-b128-rate", "w2-b1024-rate", "w2-b128-first-step", "w2-peak-memory", "w3-b128-rate", "w3-b128-first-step"]


class Peer:
    """The arguments, and figures by them: a workload runs whose name contains one of the names."""

    def __init__(self, engine, devices):
        parser = argparse.ArgumentParser(description=f"The workloads W1 to W6 on {engine}: one JSON line a figure.")
        parser.add_argument("names", nargs="*", help="any part of a workload's name; everything by default")
        parser.add_argument("--device", default="cpu", choices=devices)
        parser.add_argument("--label", help="the device's name in the figures; as --device by default")
        parser.add_argument("--quick", action="store_true", help="shorter windows")
        parser.add_argument("--mode", default="eager", help="PyTorch: eager, compile, graphs (CUDA graphs)")
        options = parser.parse_args()
        self.engine, self.device, self.mode, self.names = engine, options.device, options.mode, options.names
        self.label = options.label or options.device
        self.windows, self.window, self.warm_up = (5, 0.02, 0.02) if options.quick else (7, 0.25, 0.3)

    def wants(self, name):
        return not self.names or any(part in name for part in self.names)

    def rate(self, name, unit, amount, runs):
        """Times `runs(count)`, which does so many runs and waits for the last; `amount` of the unit is one run's."""
        if not self.wants(name):
            return

        def timed(count):
            start = time.perf_counter()
            runs(count)
            return time.perf_counter() - start

        timed(1)
        begun, count = time.perf_counter(), 1
        while True:
            taken = timed(count)
            if (taken > self.window / 8 and time.perf_counter() - begun > self.warm_up) or taken > 2 * self.window:
                break
            if taken < self.window / 4:
                count *= 2
        count = max(1, int(np.ceil(self.window / (taken / count))))
        self.line(name, unit, [amount * count / timed(count) for _ in range(self.windows)])

    def line(self, name, unit, values):
        figure = {"workload": name, "peer": self.engine, "device": self.label, "median": statistics.median(values)}
        print(json.dumps(figure | {"min": min(values), "max": max(values), "unit": unit}), flush=True)


def mnist():
    """Training images as f32 from 0 to 1, [60000, 784], and labels."""
    images = np.frombuffer(gzip.decompress((FOLDER / "train-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    labels = np.frombuffer(gzip.decompress((FOLDER / "train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    return images.reshape(-1, 784).astype(np.float32) / 255, labels


def noise(*shape):
    return (np.random.default_rng(0).random(shape, np.float32) * 2 - 1).astype(np.float32)


def tiny():
    """The batch of W4."""
    x = np.sin(np.arange(64, dtype=np.float32) * 0.37).reshape(32, 2)
    return x, np.sign(x[:, :1] * x[:, 1:])


def peak_memory():
    """The most memory that this process has had, in MiB."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
