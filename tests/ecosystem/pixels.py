"""The lab's pixels, for the scripts here and in tests/mindspore."""

import numpy as np


def resize(images):
    """28x28 bytes to 32x32 as OpenCV's INTER_LINEAR, in its integers."""
    position = (np.arange(32) + 0.5) * 28 / 32 - 0.5
    left = np.floor(position).astype(int)
    weight = np.rint((position - left) * 2048).astype(np.int64)
    low, high = np.clip(left, 0, 27), np.clip(left + 1, 0, 27)
    pixels = images.astype(np.int64)
    rows = pixels[:, :, low] * (2048 - weight) + pixels[:, :, high] * weight
    upper = ((2048 - weight)[:, None] * (rows[:, low] >> 4)) >> 16
    lower = (weight[:, None] * (rows[:, high] >> 4)) >> 16
    return ((upper + lower + 2) >> 2).astype(np.uint8)
