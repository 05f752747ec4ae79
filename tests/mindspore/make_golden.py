#!/usr/bin/env python3
"""Makes the golden files mindspore-2.10-* of tests/data with a real MindSpore.

The network of the lab is trained a few steps on inputs made by rule, so that weights, moments and
step counters are all non-trivial, and saved by the lab's own callback, ModelCheckpoint (in the lab
the train cell is what is saved, with the optimizer's state). Weights start larger than the lab's,
that logits are of the order of one. The .expected.txt beside it holds what MindSpore computes from
these weights. A second, small file holds one tensor of each type, with the crc_num trailer.

usage: make_golden.py FOLDER
"""

import pathlib
import sys
import tempfile

import numpy as np
import mindspore as ms
import mindspore.dataset as ds
from mindspore import nn
from mindspore.train import CheckpointConfig, Model, ModelCheckpoint

import lab

BATCH = 8
BATCHES = 3
NAME = "mindspore-2.10-lenet"


def training_data():
    """BATCHES * BATCH pairs of image [1, 32, 32] and label [], by rule."""
    index = np.arange(BATCHES * BATCH * 32 * 32, dtype=np.int64)
    images = ((index * 31 + index // 1024 * 57) % 101).astype(np.float32) / np.float32(101)
    labels = (np.arange(BATCHES * BATCH) * 7 % 10).astype(np.int32)
    # np.asarray: MindSpore 2.10 hands numpy 2 a scalar in a way that numpy 2 refuses.
    return [(i, np.asarray(n)) for i, n in zip(images.reshape(-1, 1, 32, 32), labels)]


def save_types(path):
    """One small tensor of each type, and what append_dict makes of Python's, with a CRC.

    Both formats; safetensors has no type for texts, and MindSpore cannot write bfloat16 to it.
    """
    types = [ms.int8, ms.int16, ms.int32, ms.int64, ms.uint8, ms.uint16, ms.uint32, ms.uint64,
             ms.float16, ms.float32, ms.float64, ms.bfloat16, ms.bool_]
    tensors = [{"name": str(t), "data": ms.Tensor(np.array([[1, 0, 1], [0, 1, 1]]), t)}
               for t in types]
    tensors.append({"name": "scalar", "data": ms.Tensor(2.5, ms.float32)})
    tensors.append({"name": "one", "data": ms.Tensor([2.5], ms.float32)})
    pathlib.Path(path).unlink(missing_ok=True)
    ms.save_checkpoint(tensors, path, crc_check=True,
                       append_dict={"epoch_num": 3, "step_num": 5625, "lr": 0.5, "on": True,
                                    "text": "f\u00fcnf"})
    pathlib.Path(path).chmod(0o644)
    path = path.replace(".ckpt", ".safetensors")
    pathlib.Path(path).unlink(missing_ok=True)
    tensors = [t for t in tensors if t["name"] != str(ms.bfloat16)]
    ms.save_checkpoint(tensors, path, crc_check=True, format="safetensors",
                       append_dict={"epoch_num": 3, "step_num": 5625, "lr": 0.5, "on": True})
    pathlib.Path(path).chmod(0o644)


def main():
    folder = pathlib.Path(sys.argv[1])
    ms.set_seed(1)
    network, optimizer = lab.make_lab()
    random = np.random.RandomState(1)
    for parameter in network.trainable_params():
        scale = 0.5 / np.sqrt(np.prod(parameter.shape[1:])) if len(parameter.shape) > 1 else 0.1
        values = random.standard_normal(parameter.shape) * scale * 2
        parameter.set_data(ms.Tensor(values.astype(np.float32)))

    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    model = Model(network, loss, optimizer, metrics={"acc"})
    data = ds.GeneratorDataset(training_data(), ["image", "label"], shuffle=False).batch(BATCH)
    with tempfile.TemporaryDirectory() as temporary:
        config = CheckpointConfig(save_checkpoint_steps=BATCHES, keep_checkpoint_max=1)
        saver = ModelCheckpoint(prefix="lenet", directory=temporary, config=config)
        model.train(1, data, callbacks=[saver], dataset_sink_mode=False)
        (saved,) = pathlib.Path(temporary).glob("*.ckpt")
        content = saved.read_bytes()

    (folder / f"{NAME}.ckpt").write_bytes(content)
    lab.write_expected(folder / f"{NAME}.expected.txt", network, optimizer,
                       f"by MindSpore {ms.__version__}, tests/mindspore/make_golden.py")
    save_types(str(folder / "mindspore-2.10-types.ckpt"))
    print(f"{saved.name}: {len(content)} bytes")
    for name, parameter in ms.load_checkpoint(str(folder / f"{NAME}.ckpt")).items():
        print(name, parameter.dtype, tuple(parameter.shape))


if __name__ == "__main__":
    main()
