#!/usr/bin/env bash
# By hand: opens the report.html of a job in headless Chromium at the width of a phone and of a desk,
# in both colour schemes; fails on any message of its console, and leaves four pictures to look at.
# $1: the binary; $2: a folder for the pictures; MNIST_DIR: real data instead of drawn digits.
set -eu
jobferry=$(realpath "$1")
out=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
data=${MNIST_DIR:-digits}
[ "$data" != digits ] || "$jobferry" data digits digits --train=20000 --test=1000
"$jobferry" --data_url="$data" --train_url=store --epochs=4 --ak=for --sk=a-warning
status=0
for scheme in 0 1; do # Blink's preferredColorScheme: dark, light
  for size in 390,3200 1280,2400; do
    picture=$out/report-$([ $scheme -eq 0 ] && echo dark || echo light)-${size%,*}.png
    timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
      --blink-settings=preferredColorScheme=$scheme --window-size="$size" --enable-logging=stderr \
      --screenshot="$picture" "file://$work/store/report.html" 2>messages || status=1
    if grep -i 'console' messages; then
      status=1
    fi
    echo "$picture"
  done
done
exit $status
