#!/usr/bin/env python3
"""Makes the golden file mindspore-2.10-optimizers.txt of tests/data with a real MindSpore.

Each case is an optimizer with its settings, four steps on eight values, and what MindSpore's CPU
kernels make of them; then the learning rates of its schedules, step by step. Weights and gradients
are by rule (weight_at and gradient_at here and in tests/test_optimizer.c). Momentum with
use_nesterov is not among them: the CPU kernel ignores it, against its documentation.

usage: make_optimizers.py FOLDER
"""

import pathlib
import sys

import numpy as np
import mindspore as ms
from mindspore import nn

VALUES = 8
STEPS = 4

# name, maker's keywords beside learning_rate. What the C side needs to know stands in the line.
CASES = [
    ("Momentum", 0.05, dict(momentum=0.9)),
    ("Momentum", 0.05, dict(momentum=0.9, weight_decay=0.01)),
    ("Momentum", 0.05, dict(momentum=0.9, loss_scale=128.0)),
    ("Momentum", 0.05, dict(momentum=0.9, weight_decay=0.01, loss_scale=128.0)),
    ("Momentum", 0.05, dict(momentum=0.0)),
    ("SGD", 0.05, dict()),
    ("SGD", 0.05, dict(momentum=0.9)),
    ("SGD", 0.05, dict(momentum=0.9, dampening=0.3)),
    ("SGD", 0.05, dict(momentum=0.9, nesterov=True)),
    ("SGD", 0.05, dict(momentum=0.9, weight_decay=0.01, loss_scale=8.0)),
    ("Adam", 0.05, dict()),
    ("Adam", 0.05, dict(beta1=0.8, beta2=0.99, eps=1e-6)),
    ("Adam", 0.05, dict(weight_decay=0.01, loss_scale=8.0)),
    ("Adam", 0.05, dict(use_nesterov=True)),
]


def weight_at(i):
    return np.float32((i * 37 % 17 - 8) / 8)


def gradient_at(step, i):
    return np.float32((step * 5 + i * 11) % 13 - 6) / np.float32(32)


def text(values):
    return " ".join(f"{float(v):.9g}" for v in np.asarray(values).reshape(-1))


def run(file, name, rate, settings):
    weight = ms.Parameter(ms.Tensor([weight_at(i) for i in range(VALUES)], ms.float32), name="w")
    optimizer = getattr(nn, name)([weight], learning_rate=rate, **settings)
    words = " ".join(f"{key} {float(value):.9g}" for key, value in settings.items())
    print(f"case {name} learning_rate {rate:.9g} {words}".rstrip(), file=file)
    scale = settings.get("loss_scale", 1.0)
    for step in range(STEPS):
        gradient = np.array([gradient_at(step, i) for i in range(VALUES)], np.float32)
        optimizer((ms.Tensor(gradient * np.float32(scale)),))
        print("weights", text(weight.asnumpy()), file=file)
    for parameter in optimizer.get_parameters():
        if parameter.name not in ("w", "learning_rate"):
            print("state", parameter.name, text(parameter.asnumpy()), file=file)


def rates_of(schedule, steps):
    """The rate of each step: step i moves weight i, and it alone, from 0 by it."""
    weight = ms.Parameter(ms.Tensor(np.zeros(steps), ms.float32), name="w")
    optimizer = nn.SGD([weight], learning_rate=schedule)
    for step in range(steps):
        optimizer((ms.Tensor(-np.eye(steps)[step], ms.float32),))
    return weight.asnumpy()


def schedules(file):
    for name, schedule in [
        ("warmup 0.1 4", nn.WarmUpLR(0.1, 4)),
        ("cosine 0.1 0.01 10", nn.CosineDecayLR(0.01, 0.1, 10)),
        ("step 0.1 0.5 3", nn.ExponentialDecayLR(0.1, 0.5, 3, is_stair=True)),
        ("table 0.3 0.2 0.1", [0.3, 0.2, 0.1]),
    ]:
        steps = 3 if name.startswith("table") else 12
        print(f"schedule {name}", file=file)
        print("rates", text(rates_of(schedule, steps)), file=file)


def main():
    path = pathlib.Path(sys.argv[1]) / "mindspore-2.10-optimizers.txt"
    with open(path, "w", encoding="utf-8") as file:
        print(f"# made by MindSpore {ms.__version__}, tests/mindspore/make_optimizers.py", file=file)
        for case in CASES:
            run(file, *case)
        schedules(file)
    print(path)


if __name__ == "__main__":
    main()
