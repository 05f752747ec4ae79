// Decodes YAML of manifests strictly into Kubernetes' own API types and prints the objects as one JSON list.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func decode(document []byte) (any, error) {
	var kind struct{ Kind string }
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	types := map[string]any{"Job": &batchv1.Job{}, "CronJob": &batchv1.CronJob{}, "ConfigMap": &corev1.ConfigMap{},
		"Service": &corev1.Service{}, "Deployment": &appsv1.Deployment{}}
	object := types[kind.Kind]
	if object == nil {
		return nil, fmt.Errorf("unknown kind %q", kind.Kind)
	}
	return object, yaml.UnmarshalStrict(document, object)
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	var objects []any
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var object any
		if err == nil {
			object, err = decode(document)
		}
		objects = append(objects, object)
	}
	var list []byte
	if err == nil {
		list, err = json.MarshalIndent(objects, "", " ")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[1], err)
		os.Exit(1)
	}
	fmt.Println(string(list))
}
