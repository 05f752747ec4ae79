#!/usr/bin/env python3
"""Holds `jobferry eval --json` against MindSpore's own metrics on the same outputs.

PREDICTIONS is what `jobferry infer --json --count=400` printed, METRICS what `jobferry eval --json`
printed of the same data (of at most 400 images). Ends 0 when every metric agrees within 1e-6 of
its size (MindSpore sums errors in float32).

usage: metrics.py PREDICTIONS METRICS
"""

import json
import sys

import numpy as np
from mindspore import Tensor, ops
from mindspore import train


def main():
    lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    logits = Tensor(np.array([line["logits"] for line in lines], np.float32))
    truth = Tensor(np.array([line["truth"] for line in lines], np.int32))
    ours = json.load(open(sys.argv[2], encoding="utf-8"))
    one_hot = Tensor(np.eye(10, dtype=np.float32)[truth.asnumpy()])
    assert ours["samples"] == len(lines), "predictions and metrics are not of the same images"

    def value(metric, labels, *average):
        metric.clear()
        metric.update(logits, labels)
        return np.asarray(metric.eval(*average))

    theirs = {
        "acc": value(train.Accuracy(), truth),
        "precision": value(train.Precision(), truth),
        "precision_average": value(train.Precision(), truth, True),
        "recall": value(train.Recall(), truth),
        "recall_average": value(train.Recall(), truth, True),
        "F1": value(train.F1(), truth),
        "F1_average": value(train.F1(), truth, True),
        "top_1": value(train.Top1CategoricalAccuracy(), truth),
        "top_5": value(train.Top5CategoricalAccuracy(), truth),
        "mae": value(train.MAE(), one_hot),
        "mse": value(train.MSE(), one_hot),
    }
    matrix = train.ConfusionMatrix(num_classes=10)
    matrix.clear()
    matrix.update(Tensor(logits.asnumpy().argmax(1).astype(np.int32)), truth)
    theirs["confusion_matrix"] = matrix.eval()
    batches = [(logits[i:i + 32], truth[i:i + 32]) for i in range(0, len(lines), 32)]
    theirs["loss"] = np.mean([ops.cross_entropy(x, y).asnumpy() for x, y in batches])

    failed = 0
    for name, wanted in theirs.items():
        difference = np.abs(np.asarray(ours["metrics"][name]) - wanted).max()
        failed += not difference <= 1e-6 * max(1.0, np.abs(wanted).max())
        print(f"{name}: largest difference {difference:.2g}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
