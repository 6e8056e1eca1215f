package app_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"example.com/todo/platform/config"
	"example.com/todo/stats-service/internal/app"
)

const example = "../../config.example.yaml"

func TestTheExampleHoldsTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := app.Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(app.Defaults(), got); diff != "" {
		t.Errorf("(-default +example):\n%s", diff)
	}
}

func TestTheExampleHoldsEverySetting(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := config.Print(&printed, app.Defaults()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keys(t, printed.Bytes()), keys(t, data)); diff != "" {
		t.Errorf("(-settings +example):\n%s", diff)
	}
}

// keys returns the document's keys in order, nested ones with dots.
func keys(t *testing.T, data []byte) []string {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(n *yaml.Node, section string) []string
	walk = func(n *yaml.Node, section string) []string {
		var all []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := section+n.Content[i].Value, n.Content[i+1]
			if value.Kind == yaml.MappingNode {
				all = append(all, walk(value, key+".")...)
			} else {
				all = append(all, key)
			}
		}
		return all
	}
	return walk(document.Content[0], "")
}

func TestABadSettingIsNamedWithItsSource(t *testing.T) {
	t.Parallel()
	_, err := app.Load("", []string{"KAFKA_PARTITIONS=six", "LOG_FORMAT=xml", "REDIS_PASSWORD=hunter2", "REDIS_DB=-1"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"kafka.partitions", `"six"`, "environment KAFKA_PARTITIONS", "log.format", "redis.db"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a secret: %v", err)
	}
}
