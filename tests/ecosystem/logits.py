#!/usr/bin/env python3
"""The logits of a checkpoint of ours by other software, from its converted files.

FOLDER holds net.onnx, net.safetensors (jobferry ckpt convert --weights_only), predictions.json
(jobferry infer --json --count=400 of the same checkpoint) and the test images it saw,
t10k-images-idx3-ubyte. onnxruntime runs the graph, with batches of 1 and of all; numpy computes the
network from what the package safetensors reads. Ends 0 when both agree with ours within 1e-4.

usage: logits.py FOLDER
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

from pixels import resize


def convolve(x, weight):
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight)


def pool(x):
    return np.maximum(x, 0).reshape(*x.shape[:2], x.shape[2] // 2, 2, -1, 2).max(axis=(3, 5))


def by_numpy(w, x):
    x = pool(convolve(x, w["conv1.weight"]))
    x = pool(convolve(x, w["conv2.weight"])).reshape(len(x), -1)
    for layer in ("fc1", "fc2", "fc3"):
        x = x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"]
    return x


def main():
    folder = pathlib.Path(sys.argv[1])
    ours = np.array([json.loads(line)["logits"] for line in open(folder / "predictions.json")])
    images = np.frombuffer((folder / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    images = images.reshape(-1, 28, 28)[:len(ours)]
    inputs = resize(images)[:, None].astype(np.float32) * np.float32(0.0127282329)
    inputs -= np.float32(0.4242129326)

    onnx.checker.check_model(onnx.load(folder / "net.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(folder / "net.onnx")
    results = {
        "onnxruntime, one batch": session.run(["logits"], {"image": inputs})[0],
        "onnxruntime, one by one": np.concatenate(
            [session.run(None, {"image": inputs[i:i + 1]})[0] for i in range(len(inputs))]),
        "safetensors and numpy": by_numpy(load_file(folder / "net.safetensors"), inputs),
    }
    worst = 0.0
    for name, logits in results.items():
        difference = np.abs(logits - ours).max()
        worst = max(worst, difference)
        print(f"{name}: {len(ours)} images, largest difference {difference:.2g} of "
              f"{np.abs(ours).max():.2g}")
    return 0 if worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
