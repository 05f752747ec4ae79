"""The network and the optimizer of MindSpore's checkpoint lab, for the two scripts beside this."""

import numpy as np
import mindspore as ms
from mindspore import nn

LAB_PARAMETERS = [
    "conv1.weight", "conv2.weight", "fc1.weight", "fc1.bias",
    "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias",
]
INPUTS = 4


class LeNet5(nn.Cell):
    """As in the lab: valid convolutions without bias, no activation between the dense layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, stride=1, pad_mode="valid", weight_init="normal")
        self.conv2 = nn.Conv2d(6, 16, 5, stride=1, pad_mode="valid", weight_init="normal")
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Dense(400, 120, weight_init="normal", bias_init="zeros")
        self.fc2 = nn.Dense(120, 84, weight_init="normal", bias_init="zeros")
        self.fc3 = nn.Dense(84, 10, weight_init="normal", bias_init="zeros")

    def construct(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.fc3(self.fc2(self.fc1(self.flatten(x))))


def make_lab(learning_rate=0.01):
    """The lab's network and optimizer, on the CPU."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.set_device("CPU")
    network = LeNet5()
    optimizer = nn.Momentum(network.trainable_params(), learning_rate=learning_rate, momentum=0.9)
    return network, optimizer


def make_inputs():
    """INPUTS inputs [1, 32, 32] in float32 that C computes alike: small integers over 64."""
    index = np.arange(INPUTS * 32 * 32, dtype=np.int64)
    values = (index * index * 7 + index * 13) % 181 - 27
    return (values.astype(np.float32) / np.float32(64)).reshape(INPUTS, 1, 32, 32)


def logits_of(network):
    network.set_train(False)
    return network(ms.Tensor(make_inputs())).asnumpy()


def write_expected(path, network, optimizer, by):
    """The outputs and the optimizer's state as text, for the other side to compare."""
    moments = sum(np.abs(p.asnumpy().astype(np.float64)).sum() for p in optimizer.moments)
    with open(path, "w", encoding="utf-8") as text:
        print(f"# logits of make_inputs() (tests/mindspore/lab.py), one input a line; made {by}",
              file=text)
        for row in logits_of(network):
            print("logits", *(f"{value:.9g}" for value in row), file=text)
        print(f"moments_sum {moments:.12g}", file=text)
        print(f"learning_rate {float(optimizer.learning_rate.asnumpy()):.9g}", file=text)
        print(f"momentum {float(optimizer.momentum.asnumpy()):.9g}", file=text)


def read_expected(path):
    """(logits [INPUTS, 10], {name: value}) of a file that write_expected or its C twin wrote."""
    logits, values = [], {}
    for line in open(path, encoding="utf-8"):
        name, *numbers = line.split()
        if name == "logits":
            logits.append([float(n) for n in numbers])
        elif name != "#":
            values[name] = float(numbers[0])
    return np.array(logits), values
