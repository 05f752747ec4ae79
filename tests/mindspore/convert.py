#!/usr/bin/env python3
"""MindSpore loads every form that `jobferry ckpt convert` makes, and evaluates it alike; and back.

BINARY is jobferry, DATA a folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, CKPT a
checkpoint of ours. Each converted file is loaded strictly into the lab's network; its accuracy on
DATA must be within 0.1 % of what `jobferry eval` says. Then MindSpore saves what it loaded, plain,
with append_info's entries, with crc_check and as safetensors, and `jobferry eval` must agree again.

usage: convert.py BINARY DATA CKPT
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import mindspore as ms

import lab

sys.path.append(str(pathlib.Path(__file__).parents[1] / "ecosystem"))
from pixels import resize  # noqa: E402


class World:
    def __init__(self, binary, data, ckpt):
        self.binary, self.data, self.ckpt = binary, data, ckpt
        images = np.frombuffer((pathlib.Path(data) / "t10k-images-idx3-ubyte").read_bytes()[16:],
                               np.uint8).reshape(-1, 28, 28)
        self.labels = np.frombuffer((pathlib.Path(data) / "t10k-labels-idx1-ubyte").read_bytes()[8:],
                                    np.uint8)
        self.inputs = resize(images)[:, None].astype(np.float32) * np.float32(0.0127282329)
        self.inputs -= np.float32(0.4242129326)
        self.network, self.optimizer = lab.make_lab()
        self.failures = 0

    def ours(self, path):
        text = subprocess.run([self.binary, "eval", "--json", f"--data_url={self.data}",
                               f"--checkpoint={path}"], capture_output=True, check=True).stdout
        return json.loads(text)["metrics"]["acc"]

    def theirs(self):
        self.network.set_train(False)
        correct = 0
        for i in range(0, len(self.labels), 1000):
            logits = self.network(ms.Tensor(self.inputs[i:i + 1000])).asnumpy()
            correct += (logits.argmax(1) == self.labels[i:i + 1000]).sum()
        return correct / len(self.labels)

    def say(self, what, ours, theirs):
        good = abs(ours - theirs) <= 0.001
        self.failures += not good
        print(f"{'ok' if good else 'FAILED'}: {what}: ours {ours:.4f}, MindSpore's {theirs:.4f}")


def main():
    world = World(*sys.argv[1:4])
    wanted = world.ours(world.ckpt)
    with tempfile.TemporaryDirectory() as folder:
        for name, *options in [("plain.ckpt",), ("one.ckpt", "--mindspore=1"),
                               ("two.ckpt", "--mindspore=2"), ("crc.ckpt", "--crc_check"),
                               ("two-crc.ckpt", "--mindspore=2", "--crc_check"),
                               ("weights.ckpt", "--weights_only"), ("all.safetensors",),
                               ("weights.safetensors", "--weights_only"),
                               ("weights-crc.safetensors", "--weights_only", "--crc_check")]:
            path = f"{folder}/{name}"
            subprocess.run([world.binary, "ckpt", "convert", *options, world.ckpt, path],
                           check=True, capture_output=True)
            world.network, world.optimizer = lab.make_lab(0.5)
            form = "safetensors" if name.endswith("safetensors") else "ckpt"
            parameters = ms.load_checkpoint(path, format=form, crc_check="crc" in name)
            missing, _ = ms.load_param_into_net(world.network, parameters, strict_load=True)
            world.failures += bool(missing)
            if "weights" not in name:
                missing, _ = ms.load_param_into_net(world.optimizer, parameters, strict_load=True)
                missing = set(missing) - (set() if "two" in name else {"global_step"})
                world.failures += bool(missing)
            world.say(f"{name}, not loaded {list(missing)}", wanted, world.theirs())
        for name, options in [("m-plain.ckpt", {}), ("m-crc.ckpt", {"crc_check": True}),
                              ("m-info.ckpt", {"append_dict": {"epoch_num": 2, "step_num": 9}}),
                              ("m.safetensors", {"format": "safetensors"}),
                              ("m-crc.safetensors", {"format": "safetensors", "crc_check": True,
                                                     "append_dict": {"epoch_num": 2}})]:
            path = f"{folder}/{name}"
            ms.save_checkpoint(world.optimizer, path, **options)
            world.say(f"MindSpore's {name}", world.ours(path), wanted)
    return 1 if world.failures else 0


if __name__ == "__main__":
    sys.exit(main())
