"""One epoch after another of the lab's LeNet5 in PyTorch or MindSpore on the CPU, batch 32, data in memory.

train_peer.py torch|mindspore THREADS IMAGES LABELS EPOCHS STEPS: a line "epoch SECONDS" each, of which only STEPS batches
are run and the rest reckoned, then "inference IMAGES_PER_SECOND" at a batch of 1,000. IMAGES is [n][1024] float32 as the network takes them, LABELS [n] int32, both raw.
"""

import sys
import time

import numpy as np

BATCH = 32
INFERENCE_BATCH = 1000


def report(start, images, steps):
    print("epoch", (time.perf_counter() - start) * (len(images) // BATCH) / steps, flush=True)


def with_torch(threads, images, labels, epochs, steps):
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10))
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    x = torch.from_numpy(images)
    y = torch.from_numpy(labels.astype(np.int64))
    for _ in range(epochs):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, steps * BATCH, BATCH):
            batch = order[i:i + BATCH]
            optimizer.zero_grad(set_to_none=True)
            loss_of(net(x[batch]), y[batch]).backward()
            optimizer.step()
        report(start, images, steps)
    with torch.inference_mode():
        def predict(i):
            net(x[i:i + INFERENCE_BATCH])
        inference(predict, len(x))


def with_mindspore(threads, images, labels, epochs, steps):
    import mindspore as ms
    from mindspore import nn, ops

    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU", runtime_num_threads=threads)
    ms.set_seed(1)

    class Net(nn.Cell):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5, pad_mode="valid")
            self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
            self.fc1, self.fc2, self.fc3 = nn.Dense(400, 120), nn.Dense(120, 84), nn.Dense(84, 10)
            self.pool, self.relu, self.flatten = nn.MaxPool2d(2, 2), nn.ReLU(), nn.Flatten()

        def construct(self, x):
            x = self.pool(self.relu(self.conv1(x)))
            x = self.pool(self.relu(self.conv2(x)))
            return self.fc3(self.fc2(self.fc1(self.flatten(x))))

    net = Net()
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(net.trainable_params(), 0.01, 0.9)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, loss), optimizer)
    step.set_train()
    step(ms.Tensor(images[:BATCH]), ms.Tensor(labels[:BATCH]))  # compiles
    for _ in range(epochs):
        start = time.perf_counter()
        order = np.random.permutation(len(images))
        for i in range(0, steps * BATCH, BATCH):
            batch = order[i:i + BATCH]
            result = step(ms.Tensor(images[batch]), ms.Tensor(labels[batch]))
        result.asnumpy()
        report(start, images, steps)
    net.set_train(False)
    x = [ms.Tensor(images[i:i + INFERENCE_BATCH]) for i in range(0, len(images), INFERENCE_BATCH)]
    net(x[0])

    def predict(i):
        net(x[i // INFERENCE_BATCH]).asnumpy()
    inference(predict, len(images))


def inference(predict, count):
    """The best of three passes over 10,000 images."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        for i in range(0, min(count, 10000), INFERENCE_BATCH):
            predict(i)
        best = max(best, min(count, 10000) / (time.perf_counter() - start))
    print("inference", best, flush=True)


def main():
    peer, threads, images, labels, epochs, steps = sys.argv[1:]
    images = np.fromfile(images, dtype=np.float32).reshape(-1, 1, 32, 32)
    labels = np.fromfile(labels, dtype=np.int32)
    run = {"torch": with_torch, "mindspore": with_mindspore}[peer]
    run(int(threads), images, labels, int(epochs), int(steps))


if __name__ == "__main__":
    main()
