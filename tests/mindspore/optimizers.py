#!/usr/bin/env python3
"""MindSpore loads what each optimizer, schedule and way of saving leaves, and evaluates it alike; and back.

BINARY is jobferry, DATA a folder that it can train on, with t10k-images-idx3-ubyte and
t10k-labels-idx1-ubyte unpacked in it. Each variant is trained for an epoch and loaded strictly,
network and optimizer; accuracies must agree within 0.1 %. MindSpore then saves its optimizer, and
`jobferry train --resume=FILE` must go on from that file.

usage: optimizers.py BINARY DATA
"""

import pathlib
import subprocess
import sys
import tempfile

import mindspore as ms
from mindspore import nn

import convert

RATES = [0.1] * 5
VARIANTS = [
    ("plain", [], lambda p: nn.Momentum(p, 0.5, 0.5)),
    ("nesterov", ["--use_nesterov", "--weight_decay=0.0001", "--loss_scale=128"],
     lambda p: nn.Momentum(p, 0.5, 0.5)),
    ("sgd", ["--optimizer=sgd", "--lr=0.01", "--momentum=0.9"], lambda p: nn.SGD(p, 0.5)),
    ("adam", ["--optimizer=adam"], lambda p: nn.Adam(p, 0.5)),
    ("adam, crc_check", ["--optimizer=adam", "--crc_check"], lambda p: nn.Adam(p, 0.5)),
    ("adam, async", ["--optimizer=adam", "--async_save"], lambda p: nn.Adam(p, 0.5)),
    ("adam, safetensors", ["--optimizer=adam", "--format=safetensors"], lambda p: nn.Adam(p, 0.5)),
    ("schedule", ["--lr_schedule=cosine", "--warmup_steps=20"],
     lambda p: nn.Momentum(p, RATES, 0.5)),
    ("adam, schedule", ["--optimizer=adam", "--lr_schedule=step", "--decay_steps=50"],
     lambda p: nn.Adam(p, RATES)),
    ("saved_network", ["--saved_network"], None),
]


def train(world, folder, *options):
    """Trains in a folder; the newest checkpoint, and what the program said."""
    done = subprocess.run([world.binary, "train", f"--data_url={world.data}", "--epochs=1",
                           f"--work_dir={folder}", "--init=he_uniform", *options],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout, done.stderr)
        done.check_returncode()
    found = [p for p in pathlib.Path(folder, "ckpt").iterdir()
             if p.suffix in (".ckpt", ".safetensors")]
    return max(found, key=lambda p: p.stat().st_mtime_ns), done.stderr


def size_rates(make, count):
    """A schedule's table has to have the length of the file's to take it."""
    RATES[:] = [0.1] * count
    return make


def main():
    world = convert.World(*sys.argv[1:3], None)
    with tempfile.TemporaryDirectory() as root:
        for number, (name, options, make) in enumerate(VARIANTS):
            path, _ = train(world, f"{root}/{number}", *options)
            form = path.suffix[1:]
            parameters = ms.load_checkpoint(str(path), format=form, crc_check="crc" in name)
            world.network = convert.lab.LeNet5()
            missing, _ = ms.load_param_into_net(world.network, parameters, strict_load=True)
            lost = set(missing)
            if make:
                rate = parameters["learning_rate"]
                size_rates(make, rate.size if rate.shape else 1)
                optimizer = make(world.network.trainable_params())
                missing, _ = ms.load_param_into_net(optimizer, parameters, strict_load=True)
                # MindSpore 1.0 has no such counter while the rate is constant, and so have we.
                lost |= set(missing) - (set() if "schedule" in name else {"global_step"})
            world.failures += bool(lost)
            world.say(f"{name}, not loaded {sorted(lost)}", world.ours(path), world.theirs())
            if make:
                theirs = f"{root}/theirs-{number}.ckpt"
                ms.save_checkpoint(optimizer, theirs)
                _, said = train(world, f"{root}/back-{number}", *[o for o in options
                                                                  if "optimizer" in o],
                                f"--resume={theirs}")
                (line,) = [l for l in said.splitlines() if "learning rate" in l]
                print(f"ok: and goes on from MindSpore's: {line}")
    return 1 if world.failures else 0


if __name__ == "__main__":
    sys.exit(main())
