// Package workspacetest makes small workspaces, with the layout of this one, in git repositories of their own.
package workspacetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repository is a workspace on the branch main of a git repository, removed when the test ends.
type Repository struct {
	t    *testing.T
	Root string
}

// files are those of a new repository: contracts and platform with a package each, todo-service, which uses both, and
// stats-service, which uses platform. Both services require v0.1.0.
var files = map[string]string{
	"go.work":                         "go 1.26.0\n\nuse (\n\t./contracts\n\t./platform\n\t./scripts\n\t./stats-service\n\t./todo-service\n)\n",
	"LICENSE":                         "MIT\n",
	".gitignore":                      "/.cache/\n",
	"CHANGELOG.md":                    "# Changelog\n\n## [Unreleased]\n",
	"contracts/go.mod":                "module example.org/acme/contracts\n\ngo 1.26.0\n",
	"contracts/Makefile":              "release:\n\t@cp proto released\n",
	"contracts/proto":                 "message 1\n",
	"contracts/released":              "message 1\n",
	"contracts/event/event.go":        "package event\n\nconst Topic = \"events\"\n",
	"platform/go.mod":                 "module example.org/acme/platform\n\ngo 1.26.0\n",
	"platform/retry/retry.go":         "package retry\n\nfunc Retry() {}\n",
	"scripts/go.mod":                  "module example.org/acme/scripts\n\ngo 1.26.0\n",
	"todo-service/go.mod":             service("todo-service", "contracts", "platform"),
	"todo-service/cmd/todo/main.go":   "package main\n\nimport \"example.org/acme/todo-service/internal/task\"\n\nfunc main() { task.Run() }\n",
	"todo-service/internal/task/t.go": "package task\n\nimport (\n\t\"example.org/acme/contracts/event\"\n\t\"example.org/acme/platform/retry\"\n)\n\nfunc Run() { retry.Retry(); println(event.Topic) }\n",
	"stats-service/go.mod":            service("stats-service", "platform"),
	"stats-service/internal/stats/s.go": "package stats\n\nimport \"example.org/acme/platform/retry\"\n\n" +
		"func Count() { retry.Retry() }\n",
}

// service returns the go.mod of a service.
func service(name string, required ...string) string {
	var mod strings.Builder
	fmt.Fprintf(&mod, "module example.org/acme/%s\n\ngo 1.26.0\n", name)
	for _, module := range required {
		fmt.Fprintf(&mod, "\nreplace example.org/acme/%s => ../%[1]s\n\nrequire example.org/acme/%[1]s v0.1.0\n", module)
	}
	return mod.String()
}

// New returns a repository with one commit, in which every module builds.
func New(t *testing.T) Repository {
	t.Helper()
	r := Repository{t, t.TempDir()}
	r.Git("init", "--quiet", "--initial-branch=main")
	r.configure()
	for name, content := range files {
		r.Write(name, content)
	}
	r.Commit()
	return r
}

// Clone returns a clone, on the branch main, of the repository that the test belongs to.
func Clone(t *testing.T) Repository {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	origin := strings.TrimSpace(string(out))
	r := Repository{t, filepath.Join(t.TempDir(), "clone")}
	clone := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "--no-tags", "file://"+origin, r.Root)
	if out, err := clone.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.Git("checkout", "--quiet", "-B", "main")
	r.configure()
	return r
}

// configure gives the repository an author, and no signatures.
func (r Repository) configure() {
	r.t.Helper()
	for key, value := range map[string]string{
		"user.name": "Test", "user.email": "test@example.org", "commit.gpgSign": "false", "tag.gpgSign": "false",
	} {
		r.Git("config", key, value)
	}
}

// Write replaces a file.
func (r Repository) Write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.Root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Edit replaces the first occurrence of old in a file.
func (r Repository) Edit(name, old, replacement string) {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(r.Root, name))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		r.t.Fatalf("%s does not contain %q", name, old)
	}
	r.Write(name, strings.Replace(string(content), old, replacement, 1))
}

// Commit commits every file.
func (r Repository) Commit() {
	r.t.Helper()
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--message", "Change")
}

// Git runs git in the repository and returns its output.
func (r Repository) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.Root
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
