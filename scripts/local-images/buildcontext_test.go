package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuildContextHasTheFolderAndTheSources(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"program": "machine code"})
	if err := os.Chmod(filepath.Join(dir, "program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("program", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	b := buildContext{folder: "redis", sources: []source{
		{name: "bin", path: dir}, {name: "libs/a", path: filepath.Join(dir, "program")}, {name: "text", content: "hello"},
	}}
	archive := b.open()
	defer archive.Close()
	got := map[string]string{}
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", header.Name, header.Uid, header.Gid)
		}
		shown, _, _ := bytes.Cut(content, []byte("\n"))
		got[header.Name] = header.FileInfo().Mode().String() + " " + header.Linkname + string(shown)
	}
	want := map[string]string{
		"Dockerfile":           "-rw-r--r-- FROM todo/stand-in-base:bookworm",
		"docker-entrypoint.sh": "-rwxr-xr-x #!/usr/bin/env bash",
		"bin":                  "drwxr-xr-x ",
		"bin/program":          "-rwxr-xr-x machine code",
		"bin/link":             "Lrwxrwxrwx program",
		"libs/a":               "-rwxr-xr-x machine code",
		"text":                 "-rw-r--r-- hello",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the archive has (-want +got):\n%s", diff)
	}
}

func TestBuildContextReportsAMissingSource(t *testing.T) {
	t.Parallel()
	b := buildContext{folder: "redis", sources: []source{{name: "libs", path: filepath.Join(t.TempDir(), "none")}}}
	err := b.write(io.Discard)
	if err == nil || !strings.Contains(err.Error(), "add libs to the build of redis") {
		t.Errorf("the error is %v", err)
	}
}

func TestRecipeChangesWithEverythingThatAnImageIsMadeOf(t *testing.T) {
	t.Parallel()
	plain := buildContext{folder: "redis", sources: []source{{name: "a", path: "/a", version: "1", content: "c"}}}
	recipe := func(b buildContext, parent string) string {
		r, err := b.recipe(parent)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	seen := map[string]string{recipe(plain, "base"): "plain"}
	if again := recipe(plain, "base"); seen[again] == "" {
		t.Errorf("the recipe changes by itself, to %s", again)
	}
	for name, r := range map[string]string{
		"parent":  recipe(plain, "another base"),
		"folder":  recipe(buildContext{folder: "haproxy", sources: plain.sources}, "base"),
		"name":    recipe(buildContext{folder: "redis", sources: []source{{name: "b", path: "/a", version: "1", content: "c"}}}, "base"),
		"version": recipe(buildContext{folder: "redis", sources: []source{{name: "a", path: "/a", version: "2", content: "c"}}}, "base"),
		"content": recipe(buildContext{folder: "redis", sources: []source{{name: "a", path: "/a", version: "1", content: "d"}}}, "base"),
	} {
		if other := seen[r]; other != "" {
			t.Errorf("another %s has the recipe of %s", name, other)
		}
		seen[r] = name
	}
}
