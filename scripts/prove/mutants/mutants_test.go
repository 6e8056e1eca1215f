package mutants

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
)

// repositoryRoot returns the repository's folder.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A patch stops applying, or its code stops compiling, when the code that it changes has changed.
// Then bring the naive design back by hand and make the patch anew.
func TestEveryMutantCanBeBuilt(t *testing.T) {
	t.Parallel()
	chosen, err := selectMutants(nil)
	if err != nil || len(chosen) != len(catalog) {
		t.Fatalf("%d mutants, %v", len(chosen), err)
	}
	tree, err := copyTree(t.Context(), repositoryRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tree)
	for _, m := range chosen {
		if err := apply(t.Context(), tree, m.patch); err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "failpoints",
			"./todo-service/...", "./notification-service/...", "./stats-service/...")
		build.Dir, build.Env = tree, append(os.Environ(), "GOWORK="+filepath.Join(tree, "go.work"))
		if output, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, output)
		}
		if err := apply(t.Context(), tree, m.patch, "--reverse"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryPatchBelongsToAMutant(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(patches, "patches/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".patch")
		if !slices.ContainsFunc(catalog, func(m mutant) bool { return m.name == name }) {
			t.Errorf("%s belongs to no mutant", file)
		}
	}
}

func TestEveryMutantNamesAScenarioAndACheck(t *testing.T) {
	t.Parallel()
	rows := checker.Judge(&history.Run{}).Checks
	for _, m := range catalog {
		if _, err := faults.Find(m.scenario, 0); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if !slices.ContainsFunc(rows, func(r checker.Check) bool { return r.Name == m.check }) {
			t.Errorf("%s: no row is called %q", m.name, m.check)
		}
	}
}

func TestCopyTreeCopiesUncommittedFilesAndCanBePatched(t *testing.T) {
	t.Parallel()
	dir, err := copyTree(t.Context(), repositoryRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	chosen, err := selectMutants([]string{"delete-only"})
	if err != nil || len(chosen) != 1 {
		t.Fatalf("%v, %v", chosen, err)
	}
	patch := chosen[0].patch
	for _, name := range []string{"go.work", "scripts/prove/mutants/mutants_test.go"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if err := apply(t.Context(), dir, patch); err != nil {
		t.Error(err)
	}
	if err := apply(t.Context(), dir, patch, "--check"); err == nil {
		t.Error("the patch applies a second time: it was not applied")
	}
}
