package toolchain

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/console"
)

func TestChooseKafkaPrefersApacheWhereJavaIsNewEnough(t *testing.T) {
	for name, c := range map[string]struct {
		requested, java, ci string
		want                string // the kind, or a part of the error
	}{
		"a new Java":                {KafkaBest, "17.0.15", "", KafkaApache},
		"a new Java in CI":          {KafkaBest, "21", "true", KafkaApache},
		"an old Java":               {KafkaBest, "11.0.2", "", KafkaEmbedded},
		"an old Java in CI":         {KafkaBest, "11.0.2", "true", "needs Java 17 or newer"},
		"no Java":                   {KafkaBest, "", "", KafkaEmbedded},
		"no Java in CI":             {KafkaBest, "", "true", "needs Java 17 or newer"},
		"the embedded one in CI":    {KafkaEmbedded, "17", "true", KafkaEmbedded},
		"the real one without Java": {KafkaApache, "", "", KafkaApache},
		"unknown":                   {"fake", "17", "", "embedded, apache or best"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("JAVA_HOME", home)
			t.Setenv("CI", c.ci)
			if c.java != "" {
				script := fmt.Sprintf("#!/bin/sh\necho 'openjdk version \"%s\" 2021-10-19'\n", c.java)
				if err := os.Mkdir(filepath.Join(home, "bin"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(home, "bin", "java"), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			said := &strings.Builder{}
			tools, err := New(console.Plain(said), os.Getenv)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tools.ChooseKafka(t.Context(), c.requested)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if fallen := err == nil && got != c.requested && got == KafkaEmbedded; fallen != strings.Contains(said.String(), "Java 17") {
				t.Errorf("%q, and it said %q", got, said)
			}
		})
	}
}
