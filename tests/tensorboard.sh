#!/usr/bin/env bash
# By hand: the real TensorBoard reads what --summary_dir wrote. $1: jobferry, $2: a Python that has
# tensorboard (pip install tensorboard).
set -eu
jobferry=$1 python=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$jobferry" data digits "$folder/digits" --train=3200 --test=200
"$jobferry" train --data_url="$folder/digits" --work_dir="$folder" --epochs=2 --summary_dir="$folder/events"
"$python" - "$folder/events" <<'END'
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "images": 0})
events.Reload()
losses = events.Scalars("train/loss")
assert [e.step for e in losses] == [1] + list(range(10, 201, 10)), [e.step for e in losses]
for tag in ("train/learning_rate", "train/images_per_second", "eval/accuracy", "eval/loss"):
    print(tag, [round(e.value, 4) for e in events.Scalars(tag)][-2:])
for kind in ("weights", "gradients"):
    histogram = events.Histograms(f"{kind}/fc1.weight")[-1].histogram_value
    assert histogram.num == 48000 == sum(histogram.bucket)
(image,) = events.Images("predictions")[-1:]
assert image.encoded_image_string.startswith(b"\x89PNG") and image.width > 0
print("ok: curves, histograms and the picture", image.width, "x", image.height)
END
