"""A training script as one finds it on a page about MindSpore: it knows nothing of jobferry.

Fits y = 3x + 2 from noisy points, saves a checkpoint an epoch with ModelCheckpoint, and goes on
from the one that --ckpt names. By hand, with MindSpore from pip: see tests/README.md.
"""
import argparse
import time

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.dataset import GeneratorDataset
from mindspore.train import Callback, CheckpointConfig, LossMonitor, Model, ModelCheckpoint


def points(count):
    random = np.random.default_rng(1)
    for _ in range(count):
        x = random.uniform(-10, 10)
        yield np.float32([x]), np.float32([3 * x + 2 + random.normal()])


class Slow(Callback):
    """An epoch takes a while, as with real data."""

    def on_train_epoch_end(self, run_context):
        time.sleep(0.3)


parser = argparse.ArgumentParser()
parser.add_argument("--data_url", default="data")
parser.add_argument("--train_url", default="ckpt")
parser.add_argument("--ckpt", default="")
parser.add_argument("--first_epoch", type=int, default=0)
parser.add_argument("--epochs", type=int, default=20)
args, _ = parser.parse_known_args()

net = nn.Dense(1, 1)
if args.ckpt:
    print("loading", args.ckpt, flush=True)
    ms.load_param_into_net(net, ms.load_checkpoint(args.ckpt))
data = GeneratorDataset(list(points(320)), ["x", "y"], shuffle=False).batch(16)
model = Model(net, nn.MSELoss(), nn.Momentum(net.trainable_params(), 0.005, 0.9))
config = CheckpointConfig(save_checkpoint_steps=data.get_dataset_size(), keep_checkpoint_max=3)
callbacks = [LossMonitor(20), Slow(), ModelCheckpoint("line", args.train_url, config)]
model.train(args.epochs, data, callbacks, dataset_sink_mode=False, initial_epoch=args.first_epoch)
print("done:", net.weight.asnumpy().ravel(), net.bias.asnumpy(), flush=True)
