package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRenamedWorkspaceBuilds(t *testing.T) {
	t.Parallel()
	const prefix = "example.org/acme/tasks"
	root := filepath.Join(t.TempDir(), "clone")
	command(t, ".", "git", "clone", "-q", "--depth", "1", "file://"+strings.TrimSpace(command(t, ".", "git", "rev-parse", "--show-toplevel")), root)

	n, err := rename(t.Context(), root, prefix)
	if err != nil || n == 0 {
		t.Fatalf("%d files renamed, %v", n, err)
	}
	if left := command(t, root, "git", "grep", "-lI", current, "--", ".", ":!"+generated, ":!"+self); left != "" {
		t.Errorf("the old name is left in:\n%s", left)
	}
	for _, module := range []string{"platform", "stats-service"} {
		dir := filepath.Join(root, module)
		if got := strings.TrimSpace(command(t, dir, "go", "list", "-m")); got != prefix+"/"+module {
			t.Errorf("the module is %s", got)
		}
		command(t, dir, "go", "build", "./...")
	}
}

func TestRenameRejectsAnInvalidPrefix(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {""}, {"tasks"}, {"https://example.org/x"}, {"example.org/x y"}, {"example.org", "twice"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// command runs a program in dir and returns what it printed; git grep that finds
// nothing is no failure.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil && (args[0] != "grep" || cmd.ProcessState.ExitCode() != 1) {
		t.Fatalf("%s %v in %s: %v", name, args, dir, err)
	}
	return string(out)
}
