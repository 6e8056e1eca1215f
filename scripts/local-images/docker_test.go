package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeDocker returns a docker whose program is a shell script.
func fakeDocker(t *testing.T, script string) docker {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return docker{program: path}
}

func TestPullTellsAnUnreachableRegistryFromOneThatAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script      string
		unreachable bool
		err         string
	}{
		"success":          {script: "echo '7: Pulling from library/redis'"},
		"no such host":     {"echo 'dial tcp: lookup registry: no such host' >&2; exit 1", true, "no such host"},
		"silence":          {"exec sleep 60", true, "no answer within 5s"},
		"a slow download":  {"echo '7: Pulling from library/redis'; sleep 6", false, ""},
		"no such image":    {"echo 'manifest for redis:0 not found: manifest unknown' >&2; exit 1", false, "manifest unknown"},
		"too many pulls":   {"echo 'toomanyrequests: You have reached your pull rate limit' >&2; exit 1", false, "toomanyrequests"},
		"no such program":  {"exit 127", true, "exit status 127"},
		"a failed request": {"echo 'Get \"https://registry/v2/\": EOF' >&2; exit 1", true, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fakeDocker(t, c.script).pull(t.Context(), "redis:7")
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("the error is %v, want %q", err, c.err)
			}
			if got := errors.Is(err, errUnreachable); got != c.unreachable {
				t.Errorf("unreachable is %t for %v", got, err)
			}
		})
	}
}

func TestLabelsReportsAnAbsentImage(t *testing.T) {
	t.Parallel()
	labels, err := fakeDocker(t, `echo '{"a":"b"}'`).labels(t.Context(), "redis:7")
	if err != nil || labels["a"] != "b" {
		t.Errorf("labels %v, %v", labels, err)
	}
	if _, err := fakeDocker(t, "echo 'null'").labels(t.Context(), "redis:7"); err != nil {
		t.Errorf("an image without labels: %v", err)
	}
	if _, err := fakeDocker(t, "echo 'Error: No such image: redis:7' >&2; exit 1").labels(t.Context(), "redis:7"); !errors.Is(err, errAbsent) {
		t.Errorf("an absent image: %v", err)
	}
	if _, err := fakeDocker(t, "echo 'Cannot connect' >&2; exit 1").labels(t.Context(), "redis:7"); err == nil || errors.Is(err, errAbsent) {
		t.Errorf("without an engine: %v", err)
	}
}

func TestCheckEngineSaysWhatToDoWithoutAnEngine(t *testing.T) {
	t.Parallel()
	err := fakeDocker(t, "echo 'Cannot connect to the Docker daemon' >&2; exit 1").checkEngine(t.Context())
	if err == nil || !strings.Contains(err.Error(), "start it") || !strings.Contains(err.Error(), "Cannot connect") {
		t.Errorf("the error is %v", err)
	}
}

func TestBuildFailsWithTheOutputOfTheBuild(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"cat >/dev/null; echo 'ERROR: apt-get failed' >&2; exit 1": "apt-get failed",
		// A program that does not read the build context.
		"echo 'ERROR: BuildKit is enabled but the buildx component is missing or broken' >&2; exit 1": "choose with DOCKER",
	} {
		archive := buildContext{sources: []source{{name: "file", content: strings.Repeat("x", 1<<20)}}}.open()
		err := fakeDocker(t, script).build(t.Context(), "redis:7", "", nil, archive)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
		archive.Close()
	}
}
