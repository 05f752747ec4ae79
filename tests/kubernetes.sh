#!/usr/bin/env bash
# Decodes docker/kubernetes strictly into Kubernetes' own API types: a field that is misspelt or in the
# wrong place fails. By hand: it fetches k8s.io/api with Go's own client into a temporary module.
set -euo pipefail
cd "$(dirname "$0")/../docker/kubernetes"
folder=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'END'
package main

import (
	"bytes"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var kind struct{ Kind string }
			if err := yaml.Unmarshal(document, &kind); err != nil {
				panic(err)
			}
			types := map[string]any{"Job": &batchv1.Job{}, "CronJob": &batchv1.CronJob{},
				"Service": &corev1.Service{}, "Deployment": &appsv1.Deployment{}}
			object := types[kind.Kind]
			if object == nil {
				fmt.Println("not ok", path, "unknown kind", kind.Kind)
				os.Exit(1)
			}
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				fmt.Println("not ok", path, err)
				os.Exit(1)
			}
			fmt.Println("ok -", kind.Kind)
		}
	}
}
END
go mod init manifests >/dev/null 2>&1
go get -t k8s.io/api@v0.31.0 sigs.k8s.io/yaml@v1.4.0 >log 2>&1 || { cat log; exit 1; }
go mod tidy >log 2>&1 || { cat log; exit 1; }
go run . "$folder"/base/job.yaml "$folder"/base/cronjob.yaml "$folder"/minio/minio.yaml
sed 's/backoffLimit:/backoffLimits:/' "$folder/base/job.yaml" >wrong.yaml
if go run . wrong.yaml >log 2>&1; then
  echo "not ok - a misspelt field passes"
  exit 1
fi
echo "ok - a misspelt field is refused"
