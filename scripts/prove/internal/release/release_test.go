package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/scripts/prove/internal/release"
)

// newRepository returns a repository of one commit per tag, in that order; an empty tag is a commit without one. The
// file VERSION has the tag.
func newRepository(t *testing.T, tags ...string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for _, tag := range tags {
		if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(tag), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "--allow-empty", "-m", "commit "+tag)
		if tag != "" {
			git(t, dir, "tag", tag)
		}
	}
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

func findLatest(t *testing.T, dir string) string {
	t.Helper()
	latest, err := release.FindLatest(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return latest
}

func TestFindLatestReturnsTheNewestReleaseBeforeHEAD(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tags []string
		want string
	}{
		"the last commit is released":        {[]string{"v0.9.0", "v0.10.0"}, "v0.9.0"},
		"the last commit is not released":    {[]string{"v0.9.0", "v0.10.0", ""}, "v0.10.0"},
		"a release follows its candidate":    {[]string{"v1.0.0-rc1", "v1.0.0", ""}, "v1.0.0"},
		"a module was released":              {[]string{"v0.9.0", "contracts/v0.10.0", ""}, "v0.9.0"},
		"another tag is not a release":       {[]string{"v0.9.0", "try", ""}, "v0.9.0"},
		"nothing was released":               {[]string{"", ""}, "28fb1c2d5c8601688cbbf966927a74aeb9d63038"},
		"the first release is the last tag":  {[]string{"", "v0.9.0"}, "28fb1c2d5c8601688cbbf966927a74aeb9d63038"},
		"an older line was patched recently": {[]string{"v0.10.0", "v0.9.1", ""}, "v0.10.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := findLatest(t, newRepository(t, c.tags...)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestFindLatestIgnoresATagThatHEADDoesNotContain(t *testing.T) {
	t.Parallel()
	dir := newRepository(t, "v0.9.0", "v0.10.0")
	git(t, dir, "checkout", "-q", "-b", "other", "v0.9.0")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "another line")
	if got := findLatest(t, dir); got != "v0.9.0" {
		t.Errorf("got %s, want v0.9.0", got)
	}
}

func TestExportWritesTheFilesOfTheRevision(t *testing.T) {
	t.Parallel()
	repository := newRepository(t, "v0.9.0", "v0.10.0")
	commit := git(t, repository, "rev-parse", "v0.9.0")
	for revision, want := range map[string]string{"v0.9.0": "v0.9.0 (" + commit[:12] + ")", commit: commit[:12]} {
		parent := filepath.Join(t.TempDir(), "released")
		dir, name, err := release.Export(t.Context(), repository, revision, parent)
		if err != nil || name != want || dir != filepath.Join(parent, commit[:12]) {
			t.Errorf("%s: %q, %q, %v; want %q", revision, dir, name, err, want)
		}
		if content, err := os.ReadFile(filepath.Join(dir, "VERSION")); err != nil || string(content) != "v0.9.0" {
			t.Errorf("%s: VERSION is %q, %v", revision, content, err)
		}
		if again, _, err := release.Export(t.Context(), repository, revision, parent); err != nil || again != dir {
			t.Errorf("%s again: %q, %v", revision, again, err)
		}
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
			t.Errorf("%s: left %v, %v", revision, entries, err)
		}
	}
}

func TestExportOfAnUnknownRevisionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, _, err := release.Export(t.Context(), newRepository(t, "v0.9.0"), "v7.0.0", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "v7.0.0 is not in the repository; a shallow clone needs git fetch --unshallow --tags") {
		t.Errorf("got %v", err)
	}
}
