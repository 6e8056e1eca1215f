package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/workspace"
	"example.com/todo/scripts/internal/workspace/workspacetest"
)

// addSection puts a section for tag above the other releases and commits it.
func addSection(r workspacetest.Repository, tag string) {
	r.Edit("CHANGELOG.md", "## [Unreleased]\n", fmt.Sprintf("## [Unreleased]\n\n## [%s] - 2026-02-03\n\n### Added\n\n- What %[1]s adds.\n", tag))
	r.Commit()
}

// newRepository returns a repository that is ready for the release of v0.1.0.
func newRepository(t *testing.T) workspacetest.Repository {
	t.Helper()
	r := workspacetest.New(t)
	addSection(r, "v0.1.0")
	return r
}

func TestAReleaseOfTheWholeTagsEveryModule(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	var out strings.Builder
	if err := run(t.Context(), &out, r.Root, false, []string{"v0.1.0"}); err != nil {
		t.Fatal(err)
	}
	if tags := r.Git("tag"); tags != "" {
		t.Errorf("without --create there are the tags %s", tags)
	}
	if err := run(t.Context(), &out, r.Root, true, []string{"v0.1.0"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"contracts/v0.1.0", "platform/v0.1.0", "stats-service/v0.1.0", "todo-service/v0.1.0", "v0.1.0"}
	if tags := strings.Fields(r.Git("tag")); !slices.Equal(tags, want) {
		t.Errorf("tags %v, want %v", tags, want)
	}
	head := r.Git("rev-parse", "HEAD")
	for _, tag := range want {
		if kind := r.Git("cat-file", "-t", tag); kind != "tag" {
			t.Errorf("%s is a %s, want an annotated tag", tag, kind)
		}
		if commit := r.Git("rev-parse", tag+"^{commit}"); commit != head {
			t.Errorf("%s is at %s, want %s", tag, commit, head)
		}
	}
	if text := r.Git("for-each-ref", "--format=%(contents)", "refs/tags/v0.1.0"); text != "v0.1.0\n\n### Added\n\n- What v0.1.0 adds." {
		t.Errorf("the tag says %q", text)
	}
	if push := "git push --atomic origin main " + strings.Join(want, " "); !strings.Contains(out.String(), push) {
		t.Errorf("the output lacks %q:\n%s", push, &out)
	}
}

func TestOneModuleIsReleasedAlone(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	if err := run(t.Context(), new(strings.Builder), r.Root, true, []string{"v0.1.0"}); err != nil {
		t.Fatal(err)
	}
	before := strings.Fields(r.Git("tag"))
	addSection(r, "todo-service/v0.1.1")
	if err := run(t.Context(), new(strings.Builder), r.Root, true, []string{"todo-service", "v0.1.1"}); err != nil {
		t.Fatal(err)
	}
	added := slices.DeleteFunc(strings.Fields(r.Git("tag")), func(tag string) bool { return slices.Contains(before, tag) })
	if !slices.Equal(added, []string{"todo-service/v0.1.1"}) {
		t.Errorf("added the tags %v", added)
	}
	if text := r.Git("for-each-ref", "--format=%(contents:body)", "refs/tags/todo-service/v0.1.1"); !strings.Contains(text, "What todo-service/v0.1.1 adds") {
		t.Errorf("the tag says %q", text)
	}
}

func TestAReleaseIsRefused(t *testing.T) {
	t.Parallel()
	type repository = workspacetest.Repository
	for name, c := range map[string]struct {
		change func(r repository)
		args   []string
		want   string // in the error
	}{
		"with an uncommitted change": {
			change: func(r repository) { r.Write("platform/new.go", "package platform\n") },
			want:   "uncommitted changes; commit or remove them:\n?? platform/new.go",
		},
		"on another branch": {
			change: func(r repository) { r.Git("checkout", "--quiet", "-b", "work") },
			want:   "a release is made on the branch main, not on work",
		},
		"on no branch": {
			change: func(r repository) { r.Git("checkout", "--quiet", "--detach") },
			want:   "not on HEAD",
		},
		"a second time": {
			change: func(r repository) { r.Git("tag", "v0.1.0") },
			want:   "v0.1.0 is not newer than the last release, v0.1.0",
		},
		"with an older version than one module has": {
			change: func(r repository) { r.Git("tag", "platform/v0.10.0"); r.Git("tag", "platform/v0.2.0") },
			want:   "platform/v0.1.0 is not newer than the last release, platform/v0.10.0",
		},
		"as a candidate of what was released": {
			change: func(r repository) { addSection(r, "v0.1.0-rc.1"); r.Git("tag", "v0.1.0") },
			args:   []string{"v0.1.0-rc.1"},
			want:   "v0.1.0-rc.1 is not newer than the last release, v0.1.0",
		},
		"without a section": {
			args: []string{"v0.1.1"},
			want: `CHANGELOG.md has no section "## [v0.1.1] - YYYY-MM-DD"`,
		},
		"of a module, with the section of the whole": {
			args: []string{"platform", "v0.1.0"},
			want: `CHANGELOG.md has no section "## [platform/v0.1.0] - YYYY-MM-DD"`,
		},
		"without a date": {
			change: func(r repository) { r.Edit("CHANGELOG.md", " - 2026-02-03", ""); r.Commit() },
			want:   `CHANGELOG.md has no section "## [v0.1.0] - YYYY-MM-DD"`,
		},
		"with an empty section": {
			change: func(r repository) {
				r.Write("CHANGELOG.md", "# Changelog\n\n## [v0.1.0] - 2026-02-03\n\n## [v0.0.1] - 2026-01-02\n\n- A\n")
				r.Commit()
			},
			want: "the section [v0.1.0] of CHANGELOG.md is empty",
		},
		"of a service before the libraries": {
			change: func(r repository) { addSection(r, "stats-service/v0.1.0") },
			args:   []string{"stats-service", "v0.1.0"},
			want:   "stats-service/go.mod requires platform/v0.1.0, which is not released",
		},
		"of the whole, with another required version": {
			change: func(r repository) { addSection(r, "v0.2.0") },
			args:   []string{"v0.2.0"},
			want:   "todo-service/go.mod requires contracts/v0.1.0, which is not released",
		},
		"with an outdated released contract": {
			change: func(r repository) { r.Write("contracts/proto", "message 2\n"); r.Commit() },
			want:   "M contracts/released",
		},
		"with a contract that breaks the released one": {
			change: func(r repository) {
				r.Write("contracts/Makefile", "release:\n\t@echo a field was deleted; false\n")
				r.Commit()
			},
			want: "a field was deleted",
		},
		"of a module that is not there": {args: []string{"billing", "v0.1.0"}, want: `"billing" is no module`},
		"without the v":                 {args: []string{"0.1.0"}, want: `"0.1.0" is no version`},
		"with two numbers":              {args: []string{"v0.1"}, want: `"v0.1" is no version`},
		"with build metadata":           {args: []string{"v0.1.0+linux"}, want: `"v0.1.0+linux" is no version`},
		"of a second major version":     {args: []string{"v2.0.0"}, want: "should be v0 or v1, not v2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			if c.change != nil {
				c.change(r)
			}
			before := r.Git("tag")
			args := c.args
			if args == nil {
				args = []string{"v0.1.0"}
			}
			err := run(t.Context(), new(strings.Builder), r.Root, true, args)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if after := r.Git("tag"); after != before {
				t.Errorf("tags before %q, after %q", before, after)
			}
		})
	}
}

func TestARefusalNamesEveryReason(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.Git("checkout", "--quiet", "-b", "work")
	r.Git("tag", "platform/v0.3.0")
	r.Write("new", "")
	err := run(t.Context(), new(strings.Builder), r.Root, false, []string{"v0.2.0"})
	for _, want := range []string{"no section", "not on work", "uncommitted", "platform/v0.3.0", "requires contracts/v0.1.0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

func TestAReleaseLeavesNoTagsWhenOneCannotBeMade(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.Git("tag", "v0.1.0/blocks")
	if err := run(t.Context(), new(strings.Builder), r.Root, true, []string{"v0.1.0"}); err == nil {
		t.Error("the release succeeds beside a tag below its name")
	}
	if tags := r.Git("tag"); tags != "v0.1.0/blocks" {
		t.Errorf("these tags are left: %s", tags)
	}
}

// The workspace itself, in a clone: its own modules, changelog and contracts.
func TestTheWorkspaceIsReleased(t *testing.T) {
	t.Parallel()
	const version = "v1.0.0"
	r := workspacetest.Clone(t)
	shareTools(t, r)
	w, err := workspace.Open(r.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range w.Modules {
		for _, required := range m.Requires {
			r.Edit(m.Name+"/go.mod", "\t"+required.Path+" "+required.Version+"\n", "\t"+required.Path+" "+version+"\n")
		}
	}
	if out, err := exec.CommandContext(t.Context(), "make", "-C", filepath.Join(r.Root, "contracts"), "release").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addSection(r, version)
	if err := run(t.Context(), new(strings.Builder), r.Root, true, []string{version}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"contracts/v1.0.0", "notification-service/v1.0.0", "platform/v1.0.0", "stats-service/v1.0.0", "todo-service/v1.0.0", "v1.0.0",
	}
	if tags := strings.Fields(r.Git("tag")); !slices.Equal(tags, want) {
		t.Errorf("tags %v, want %v", tags, want)
	}
}

// shareTools lets the clone use the workspace's pinned tools, which the Makefile of contracts installs otherwise.
func shareTools(t *testing.T, r workspacetest.Repository) {
	t.Helper()
	tools, err := filepath.Abs("../../.cache/bin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.Root, ".cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tools, filepath.Join(r.Root, ".cache", "bin")); err != nil {
		t.Fatal(err)
	}
}
