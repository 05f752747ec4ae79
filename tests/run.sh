#!/usr/bin/env bash
# Builds with gcc and clang under sanitizers and runs every test through ctest, beside a real MinIO.
#
#   ./tests/run.sh
#
# Installs what is missing (packages; MinIO, its client, rclone and toxiproxy from source, where a new
# enough Go is there) and says so. Without Go the MinIO tests are skipped, by name. In CI nothing may be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=runner/packages.sh
. runner/packages.sh
TEST_PACKAGES=(
  btrfs-progs clang clang-format clang-tidy curl e2fsprogs fish git groff-base libclang-rt-14-dev libcmocka-dev
  libmicrohttpd-dev mandoc openssl procps shellcheck zsh
)
# Other releases than bookworm have another clang.
apt-cache show libclang-rt-14-dev >/dev/null 2>&1 || TEST_PACKAGES=("${TEST_PACKAGES[@]/libclang-rt-14-dev/libclang-rt-dev}")
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"

# MinIO ships as source; neither has a tag that resolves, so the commits are pinned.
MINIO=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
MC=github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
# Its program is called `server`, and gets the name that Debian gives it.
TOXIPROXY=github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0
RCLONE=github.com/rclone/rclone@v1.76.0
tools=$PWD/build/tools
export PATH=$PATH:$tools:/usr/local/go/bin

have_go() {
  command -v go >/dev/null &&
    [ "$(printf '%s\n' go1.24 "$(go env GOVERSION)" | sort -V | head -n 1)" = go1.24 ]
}
for tool in "minio $MINIO" "mc $MC" "rclone $RCLONE" "toxiproxy-server $TOXIPROXY"; do
  read -r name module <<<"$tool"
  if ! command -v "$name" >/dev/null && have_go; then
    echo "installing: $module into build/tools"
    (cd / && GOBIN=$tools go install "$module")
    [ "$name" != toxiproxy-server ] || mv "$tools/server" "$tools/$name"
  fi
done

presets=(tsan clang dev)
for preset in "${presets[@]}"; do
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
done
status=0
for preset in "${presets[@]}"; do
  echo "== $preset"
  only=()
  [ "$preset" = tsan ] && only=(-L threads)
  ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" "${only[@]}" || status=1
done
exit "$status"
