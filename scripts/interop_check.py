"""Compares ONNX files with noyau's results: onnx.checker on each file, ONNX Runtime's outputs within 1e-4, in batches of other sizes too.

    python scripts/interop_check.py FOLDER      # a folder that the example interop wrote
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

BOUND = 1e-4


def check(path):
    """How far a file's result lies from noyau's, in proportion to numbers above 1."""
    onnx.checker.check_model(str(path), full_check=True)
    x, y = (np.load(path.with_suffix(f".{end}.npy")) for end in "xy")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = x.astype(np.int64) if given.type == "tensor(int64)" else x
    run = lambda part: session.run(None, {given.name: part})[0]
    got = run(x)
    assert got.shape == y.shape, f"shape {got.shape}, noyau has {y.shape}"
    off = lambda got, y: float(np.max(np.abs(got.astype(np.float64) - y) / np.maximum(1, np.abs(y)), initial=0))
    worst = off(got, y)
    # Every sample alone, and the first two: the batch is any. (Of results in which the batch is not the first axis, only the whole.)
    if y.shape[0] == x.shape[0]:
        for part in (slice(0, 1), slice(0, 2)):
            worst = max(worst, off(run(x[part]), y[part]))
    return worst, got


def main():
    folder = pathlib.Path(sys.argv[1])
    failed = 0
    for path in sorted(folder.glob("*.onnx")):
        try:
            worst, got = check(path)
            verdict = "ok" if worst <= BOUND else "TOO FAR"
            text = f"{verdict}, off by at most {worst:.1e}"
            labels = path.with_suffix(".labels.npy")
            if labels.exists():
                y, labels = np.load(path.with_suffix(".y.npy")), np.load(labels)
                ours, theirs = (float(np.mean(np.argmax(logits, 1) == labels)) for logits in (y, got))
                text += f"; test accuracy {theirs:.4f}, noyau's {ours:.4f}"
                verdict = verdict if ours == theirs else "OTHER ACCURACY"
        except Exception as error:
            verdict, text = "FAILED", f"FAILED: {str(error)[:600]}"
        failed += verdict != "ok"
        print(f"{path.stem:<16} {text}")
    if failed:
        sys.exit(f"{failed} models failed")


if __name__ == "__main__":
    main()
