package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComposeImagesAreThoseThatAreNotBuilt(t *testing.T) {
	dir := filepath.Join(writeFiles(t, map[string]string{".env": "CACHE=redis\n"}), "compose")
	t.Setenv("KAFKA_VERSION", "4.4.0")
	writeFilesTo(t, dir, map[string]string{
		"compose.yaml": `
services:
  redis: {image: "${CACHE}:7"}
  kafka: {image: "apache/kafka:${KAFKA_VERSION:-1}"}
  todo-service: {image: todo/todo-service, build: ..}
  panel: {image: "grafana/grafana:1", profiles: [observability]}
`,
		"scale.yaml": `
services:
  todo-service: {image: todo/todo-service, depends_on: [redis]}
  balancer: {image: "haproxy:3.0", networks: [front]}
`,
	})
	got, err := composeImages(t.Context(), dir)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"apache/kafka:4.4.0", "grafana/grafana:1", "haproxy:3.0", "redis:7"}, got); err != nil || diff != "" {
		t.Errorf("%v; images (-want +got):\n%s", err, diff)
	}
	if _, err := composeImages(t.Context(), t.TempDir()); err == nil {
		t.Error("no error for a folder without compose files")
	}
}

// Another tag than the stand-in's would leave the system without the image where there is no registry.
func TestComposeFilesNameTheTagsOfTheStandIns(t *testing.T) {
	t.Parallel()
	images, err := composeImages(t.Context(), "../../compose")
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		known := slices.ContainsFunc(standIns, func(s standIn) bool { return s.image == image })
		if why := explainAbsence(image); !known && why != "there is no stand-in" {
			t.Errorf("the compose files name %s: %s", image, why)
		}
	}
}

func TestChooseRejectsAnUnknownImage(t *testing.T) {
	t.Parallel()
	known := []string{"haproxy:3.0", "redis:7"}
	if got, err := choose(known, nil); err != nil || !slices.Equal(got, known) {
		t.Errorf("without names: %v, %v", got, err)
	}
	if got, err := choose(known, []string{"redis:7"}); err != nil || !slices.Equal(got, []string{"redis:7"}) {
		t.Errorf("with a name: %v, %v", got, err)
	}
	if _, err := choose(known, []string{"redis:8"}); err == nil || !strings.Contains(err.Error(), "known images: haproxy:3.0, redis:7") {
		t.Errorf("with an unknown name: %v", err)
	}
}
