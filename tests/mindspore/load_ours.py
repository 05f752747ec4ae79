#!/usr/bin/env python3
"""Loads a checkpoint of ours into a real MindSpore, as the lab resumes, and compares.

FOLDER holds ours.ckpt and ours.expected.txt, as the program mindspore_ours writes them. Ends 0
when the file loads, every parameter of the lab's network and optimizer is found in it, the logits
agree within 1e-4 and the optimizer's state is what we saved.

usage: load_ours.py FOLDER
"""

import pathlib
import sys

import numpy as np
import mindspore as ms

import lab

OURS = ["epoch_num", "step_num", "jobferry.run", "jobferry.cumulative_step", "jobferry.crc32"]


def main():
    folder = pathlib.Path(sys.argv[1])
    logits, values = lab.read_expected(folder / "ours.expected.txt")
    # The lab builds its resumed optimizer with another rate; the file's must win.
    network, optimizer = lab.make_lab(learning_rate=0.001)
    parameters = ms.load_checkpoint(str(folder / "ours.ckpt"))
    failures = []

    wanted = lab.LAB_PARAMETERS + ["learning_rate", "momentum"]
    wanted += [f"moments.{name}" for name in lab.LAB_PARAMETERS]
    if list(parameters)[:18] != wanted[:18]:
        failures.append(f"the first 18 entries are {list(parameters)[:18]}")
    failures += [f"no entry {name}" for name in OURS if name not in parameters]

    # strict_load: no other name's value stands in for a missing one.
    missing, _ = ms.load_param_into_net(network, parameters, strict_load=True)
    if missing:
        failures.append(f"the network misses {missing}")
    missing, _ = ms.load_param_into_net(optimizer, parameters, strict_load=True)
    # MindSpore 2's optimizers count steps in global_step; 1.0's, whose file ours is, do not.
    if set(missing) - {"global_step"}:
        failures.append(f"the optimizer misses {missing}")

    difference = np.abs(lab.logits_of(network) - logits).max()
    if not (logits.shape == (lab.INPUTS, 10) and difference <= 1e-4):
        failures.append(f"logits differ by {difference}")
    moments = sum(np.abs(p.asnumpy().astype(np.float64)).sum() for p in optimizer.moments)
    for name, found in [("moments_sum", moments),
                        ("learning_rate", float(optimizer.learning_rate.asnumpy())),
                        ("momentum", float(optimizer.momentum.asnumpy()))]:
        if not abs(found - values[name]) <= 1e-6 * abs(values[name]):
            failures.append(f"{name} is {found}, we saved {values[name]}")

    for failure in failures:
        print("FAILED:", failure)
    if not failures:
        print(f"MindSpore {ms.__version__} found all {len(wanted)} of the lab's parameters among "
              f"{len(parameters)}; largest difference of logits {difference:.2g}, of "
              f"{np.abs(logits).max():.2g}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
