package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/config"
)

// writeSecret writes a file and returns its path.
func writeSecret(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"postgres://env":                     "postgres://env",
		"postgres://env\n":                   "postgres://env",
		"postgres://env\r\n":                 "postgres://env",
		"p\u00e4ss w\u00f6rd\n":              "p\u00e4ss w\u00f6rd",
		strings.Repeat("x", 64<<10-1) + "\n": strings.Repeat("x", 64<<10-1),
	} {
		cfg := defaults()
		if err := config.Load(&cfg, file(t, "postgres: {dsn: overridden}"), []string{"POSTGRES_DSN_FILE=" + writeSecret(t, content), "NAME_FILE=/not/there"}); err != nil {
			t.Errorf("%.40q: %v", content, err)
		}
		if got := cfg.DB.DSN.Reveal(); got != want {
			t.Errorf("%.40q: got %.40q", content, got)
		}
	}
}

func TestSecretFileThatCannotBeUsedIsOneErrorWithoutItsContent(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path string
		want string
		more string // another variable
	}{
		"missing":          {path: "/not/there/hunter2", want: "names a file that does not exist"},
		"a directory":      {path: t.TempDir(), want: "names a directory instead of a file"},
		"a pipe":           {path: fifo, want: "names a device or a pipe instead of a regular file"},
		"too large":        {path: writeSecret(t, strings.Repeat("hunter2", 10_000)), want: "names a file of more than 65536 bytes"},
		"not UTF-8":        {path: writeSecret(t, "hunter2\xff"), want: "names a file that is not one line of text"},
		"NUL":              {path: writeSecret(t, "hunter2\x00x"), want: "names a file that is not one line of text"},
		"two lines":        {path: writeSecret(t, "hunter2\nhunter2\n"), want: "names a file that is not one line of text"},
		"empty":            {path: writeSecret(t, "\n"), want: "names an empty file"},
		"blanks":           {path: writeSecret(t, " hunter2"), want: "has blanks or a line break at an end, which are part of the value: set it without them"},
		"quotes":           {path: writeSecret(t, `"hunter2"`), want: "is in quotes, which are part of the value: set it without them"},
		"both":             {path: writeSecret(t, "hunter2"), want: "is set, and so is POSTGRES_DSN: unset one of them", more: "POSTGRES_DSN=hunter2"},
		"the secret's own": {path: "hunter2", want: "names a file that does not exist"},
	} {
		cfg := defaults()
		err := config.Load(&cfg, "", []string{"POSTGRES_DSN_FILE=" + tt.path, tt.more})
		want := "postgres.dsn: [secret] from environment POSTGRES_DSN_FILE: " + tt.want
		if fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestSourceOfASecretFileIsNamed(t *testing.T) {
	t.Parallel()
	cfg := struct {
		DB struct {
			DSN     config.Secret `config:"dsn"`
			Sources config.Sources
		} `config:"postgres"`
	}{}
	if err := config.Load(&cfg, "", []string{"POSTGRES_DSN_FILE=" + writeSecret(t, "hunter2")}); err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.DB.Sources.Name("dsn"), "postgres.dsn (environment POSTGRES_DSN_FILE)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
