#!/usr/bin/env bash
# docker/kubernetes, as far as it goes without a cluster; by hand, it fetches Go modules with Go's own client.
#
#   tests/platforms/kubernetes.sh [IMAGE]
#
# kustomize builds base and overlay; each object is decoded strictly into Kubernetes' own API types, so that
# a field that is misspelt or in the wrong place fails. With IMAGE, jobferry's in buildah's storage
# (tests/image.sh puts it there), and as root, kubernetes.py then runs the containers of what was decoded.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../docker/kubernetes"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$here/../../build/tools"
tools=$(cd "$here/../../build/tools" && pwd)
export PATH=$PATH:$tools:/usr/local/go/bin
if ! command -v kustomize >/dev/null; then
  echo "installing: kustomize into build/tools"
  (cd / && GOBIN=$tools go install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0)
fi
kustomize build base >"$work/base.yaml"
kustomize build minio >"$work/minio.yaml"
echo "ok - kustomize builds base and minio"
for name in base minio; do
  cp -r . "$work/tree"
  (cd "$work/tree/$name" && kustomize edit set image jobferry=registry.example/jobferry:1 && kustomize build .) >"$work/log"
  if ! grep -q 'image: registry.example/jobferry:1' "$work/log" || grep 'image: jobferry' "$work/log"; then
    echo "not ok - $name with another image"
    exit 1
  fi
  rm -r "$work/tree"
done
echo "ok - an image set in the folder that is applied is all containers' image"

decode=$("$here/decoder.sh" kubernetes)
for name in base/job.yaml base/cronjob.yaml minio/minio.yaml; do
  "$decode" "$name" >/dev/null
done
for name in base minio; do
  "$decode" "$work/$name.yaml" >"$work/$name.json"
done
echo "ok - each file, and what kustomize makes of them, is what Kubernetes' types say"
sed 's/backoffLimit:/backoffLimits:/' base/job.yaml >"$work/wrong.yaml"
if "$decode" "$work/wrong.yaml" >"$work/log" 2>&1; then
  echo "not ok - a misspelt field passes"
  exit 1
fi
echo "ok - a misspelt field is refused: $(cat "$work/log")"
[ "$#" -eq 0 ] || python3 "$here/kubernetes.py" "$1" "$work/base.json" "$work/minio.json" "$PWD/README.md"
