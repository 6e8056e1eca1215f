package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onPath makes a shell script the only program on PATH that has this name.
func onPath(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

func TestMirrorIsThatOfThisMachineForDebianAlone(t *testing.T) {
	onPath(t, "apt-get", `echo http://mirror.example/debian/
echo https://packages.example/nodejs/
echo https://packages.example/debian-tools
echo http://mirror.example/debian-security/`)
	want := mirror{packages: "http://mirror.example/debian", security: "http://mirror.example/debian-security"}
	got := findMirror(t.Context())
	if got != want {
		t.Errorf("the mirror is %+v, want %+v", got, want)
	}
	const list = "deb http://mirror.example/debian bookworm-updates main\ndeb http://mirror.example/debian-security bookworm-security main\n"
	if diff := cmp.Diff(list, got.updates()); diff != "" {
		t.Errorf("updates.list (-want +got):\n%s", diff)
	}
	onPath(t, "another", "")
	if got := findMirror(t.Context()); got != (mirror{}) || got.updates() != "" {
		t.Errorf("without apt-get: %+v, %q", got, got.updates())
	}
}

func TestDebootstrapSaysWhatIsMissingAndKeepsNothing(t *testing.T) {
	cache := t.TempDir()
	archive := filepath.Join(cache, "debian.tar")
	onPath(t, "another", "")
	if err := debootstrap(t.Context(), mirror{}, archive); err == nil || !strings.Contains(err.Error(), "apt-get install debootstrap") {
		t.Errorf("without debootstrap: %v", err)
	}
	onPath(t, "debootstrap", "")
	want := "E: no such mirror"
	if os.Getuid() != 0 {
		want = "only root may run"
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "unshare"), []byte("#!/bin/sh\necho E: no such mirror\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := debootstrap(t.Context(), mirror{}, archive); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("after a failure: %v", err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 0 {
		t.Errorf("left after a failure: %v, %v", left, err)
	}
}

func TestGolangSourcesHaveTheModuleSettingsOfThisMachine(t *testing.T) {
	t.Setenv("GOPROXY", "https://proxy.example")
	t.Setenv("GONOSUMDB", "")
	t.Setenv("GOPRIVATE", "")
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GONOPROXY", "")
	t.Setenv("GOINSECURE", "")
	sources, err := golangSources(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("GOPROXY=https://proxy.example\nGOSUMDB=off\nGOTOOLCHAIN=local\n", sources[1].content); diff != "" {
		t.Errorf("go.env (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(sources[0].path, "bin", "go")); err != nil || !strings.HasPrefix(sources[0].version, "go1.") {
		t.Errorf("the toolchain is %+v: %v", sources[0], err)
	}
}
