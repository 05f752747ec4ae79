# packages.sh - what jobferry is built with, as Debian and Ubuntu name it; sourced, not run.
# shellcheck shell=bash disable=SC2034 # the sourcing scripts use the list

BUILD_PACKAGES=(
  ca-certificates cmake gcc libc6-dev libcairo2-dev libcurl4-openssl-dev libisal-dev libjansson-dev
  libopenblas-pthread-dev libprotobuf-c-dev libssl-dev libxml2-dev ninja-build pkg-config
  protobuf-c-compiler zlib1g-dev
)

# install_packages NAME...: installs those that are missing, says which, does nothing otherwise.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' ||
      missing+=("$name")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  echo "installing: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "these packages are missing and there is neither root nor sudo to install them" >&2
      return 1
    }
    root=(sudo)
  fi
  "${root[@]}" apt-get -q update &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -q install -y --no-install-recommends "${missing[@]}"
}
