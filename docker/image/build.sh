#!/usr/bin/env bash
# Builds the program from SOURCE in BUILD and runs the tests that need no server: SOURCE BUILD.
# TESTS=none leaves them out, TESTS=emulated those that qemu-user cannot do. No path and no time of the build gets into the binary.
set -euo pipefail
source=$1 build=$2
map="-ffile-prefix-map=$source=. -ffile-prefix-map=$build=."
tests=ON
[ "${TESTS:-}" != none ] || tests=OFF
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS_RELEASE=-O2 $map" \
  -DCMAKE_INSTALL_PREFIX=/opt/jobferry -DJOBFERRY_TESTS=$tests >/dev/null
cmake --build "$build"
# Left out: what needs a server or a program beside it, checks the tree, or looks at other processes as a
# build container does not let it (test_watch, test_report).
without="test_watch|test_report|check_.*"
# qemu-user's vfork is a fork, so that posix_spawn cannot tell of a program that is not there; and its floating
# point takes test_train longer than a test may: tests/image.sh runs that one by itself.
[ "${TESTS:-}" != emulated ] || without+="|test_key_process|test_train"
[ $tests = OFF ] || ctest --test-dir "$build" -LE "minio|program" -E "^($without)$" -j "$(nproc)" --output-on-failure
