package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/platform/config"
)

// Every file is loaded or rejected with a message.
func FuzzFile(f *testing.F) {
	f.Add("name: x\nratio: 0.1\nrate_limit:\n  requests: 3\n  window: 1m\n")
	f.Add("postgres: {dsn: [x]}")
	f.Add("a: &a [*a]")
	f.Add("<<: {name: x}\n? {}\n: y")
	f.Add("\xff: !!binary x")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "settings.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := defaults()
		if err := config.Load(&cfg, path, nil); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("the error has no message")
		}
	})
}

func FuzzEnvironment(f *testing.F) {
	for _, entry := range []string{"RATE_LIMIT_WINDOW=1m", "PROXIES=10.0.0.0/8, ::/0", "LEVEL=debug", "RATIO=NaN", "RELAY=x", "=", "NAME"} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		cfg := defaults()
		if err := config.Load(&cfg, "", []string{entry}); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("the error has no message")
		}
	})
}
