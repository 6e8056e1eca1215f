package binaries

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/console"
)

// printer is a program that prints text.
func printer(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <<'E'\n"+text+"\nE\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadVersionParsesThePrintedVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, c := range []struct {
		mark *regexp.Regexp
		text string
		want version
	}{
		{postgresVersion, "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", version{15, 18}},
		{postgresVersion, "postgres (PostgreSQL) 19beta1", version{19, 0}},
		{redisVersion, "Redis server v=6.2.7 sha=00000000:0 malloc=libc bits=32", version{6, 2}},
		{javaVersion, `openjdk version "17.0.15" 2025-04-15`, version{17, 0}},
		{javaVersion, `java version "1.8.0_391"`, version{1, 8}},
		{javaVersion, `openjdk version "21" 2023-09-19`, version{21, 0}},
	} {
		path := printer(t, dir, fmt.Sprint("program", i), c.text)
		got, err := readVersion(t.Context(), c.mark, path)
		if err != nil || got != c.want {
			t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
	if _, err := readVersion(t.Context(), redisVersion, printer(t, dir, "silent", "hello")); err == nil {
		t.Error("no error for a program that prints no version")
	}
}

func TestFinderSkipsAnOldProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	finder := Finder{Cache: Cache{Dir: t.TempDir(), Repositories: map[string]string{"maven": "http://127.0.0.1:1"}, Console: console.Plain(io.Discard)}}
	for text, wanted := range map[string]bool{"Redis server v=6.0.16 sha": false, "Redis server v=6.2.0 sha": true, "v=7.0.15": true} {
		path := printer(t, dir, "redis-server", text)
		got, err := finder.Redis(t.Context())
		if wanted && got != path {
			t.Errorf("%q: found %q, %v; want %s", text, got, err, path)
		}
		if !wanted && (err == nil || !strings.Contains(err.Error(), "fetch Redis")) {
			t.Errorf("%q: found %q, %v; want that another is fetched", text, got, err)
		}
	}
}

func TestFinderRejectsAnOldJava(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JAVA_HOME", home)
	printer(t, filepath.Join(home, "bin"), "java", `openjdk version "11.0.2" 2019-01-15`)
	_, err := Finder{}.Kafka(t.Context())
	if err == nil || !strings.Contains(err.Error(), "needs Java 17 or newer") || !strings.Contains(err.Error(), "11.0") {
		t.Errorf("the error is %v", err)
	}
}

func TestCreateAtomicallyCreatesACompleteFolderOrNone(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	f := Finder{Cache: Cache{Console: console.Plain(io.Discard)}}
	dir := filepath.Join(base, "program")
	broken := errors.New("the disk is full")
	if err := f.createAtomically(dir, "it", func(unfinished string) error {
		return errors.Join(os.WriteFile(filepath.Join(unfinished, "half"), nil, 0o600), broken)
	}); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if left, _ := os.ReadDir(base); len(left) != 0 {
		t.Errorf("left after a failure: %v", left)
	}
	filled := 0
	for range 2 {
		err := f.createAtomically(dir, "it", func(string) error { filled++; return nil })
		if _, missing := os.Stat(dir); err != nil || missing != nil {
			t.Errorf("%v, %v", err, missing)
		}
	}
	if filled != 1 {
		t.Errorf("it was filled %d times, want once", filled)
	}
}
