package mutants

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
)

// tree is the repository, of which this package is a part.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A mutant whose patch does not apply was overtaken by a change of what it changes: bring the naive
// design back by hand, and make the patch anew.
func TestEveryPatchAppliesToTheTree(t *testing.T) {
	t.Parallel()
	chosen, err := choose(nil)
	if err != nil || len(chosen) != len(all) {
		t.Fatalf("%d mutants, %v", len(chosen), err)
	}
	for _, m := range chosen {
		if err := apply(t.Context(), tree(t), m.diff, true); err != nil {
			t.Errorf("%s: %v", m.name, err)
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
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.name == name }) {
			t.Errorf("%s belongs to no mutant", file)
		}
	}
}

func TestEveryMutantNamesAScenarioAndARow(t *testing.T) {
	t.Parallel()
	rows := checker.Judge(&history.Run{}).Rows
	for _, m := range all {
		if _, err := faults.Find(m.scenario, 0); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if !slices.ContainsFunc(rows, func(r checker.Row) bool { return r.Name == m.row }) {
			t.Errorf("%s: no row is called %q", m.name, m.row)
		}
	}
}

func TestACopyIsTheTreeAsItIsAndCanBePatched(t *testing.T) {
	t.Parallel()
	dir, err := copyTree(t.Context(), tree(t))
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	chosen, err := choose([]string{"delete-only"})
	if err != nil || len(chosen) != 1 {
		t.Fatalf("%v, %v", chosen, err)
	}
	patch := chosen[0].diff
	for _, name := range []string{"go.work", "scripts/prove/mutants/mutants_test.go"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if err := apply(t.Context(), dir, patch, false); err != nil {
		t.Error(err)
	}
	if err := apply(t.Context(), dir, patch, true); err == nil {
		t.Error("the patch applies a second time: it was not applied")
	}
}
