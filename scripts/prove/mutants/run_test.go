package mutants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/proc"
)

// fakeProve returns the path of a program with the flags of prove. It runs the shell script
// mutated if the tree has the naive design, and unchanged otherwise. The released version must
// have the good design.
func fakeProve(t *testing.T, mutated, unchanged string) string {
	t.Helper()
	script := fmt.Sprintf(`#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --out) out=$2 ;; --tree) tree=$2 ;; --released-tree) released=$2 ;; esac
  shift
done
grep -q good "$released/design" || exit 3
if grep -q naive "$tree/design" ; then %s
else %s
fi
`, mutated, unchanged)
	path := filepath.Join(t.TempDir(), "prove")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// verdictScript is a shell script that writes a verdict with these red checks and exits with
// status.
func verdictScript(status int, red ...string) string {
	rows := `{"name":"always","ok":true}`
	for _, name := range red {
		rows += fmt.Sprintf(`,{"name":%q,"ok":false}`, name)
	}
	return fmt.Sprintf(`echo '{"took":"7s","ok":%t,"rows":[%s]}' > "$out"; exit %d`, len(red) == 0, rows, status)
}

// newTestSuite returns a suite over a tree with one good design, and a mutant that makes it
// naive.
func newTestSuite(t *testing.T, prove string, out io.Writer) *suite {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "design"), []byte("good\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "design"}} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = dir
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, said)
		}
	}
	return &suite{
		Options:  Options{Prove: prove, Tree: dir, Seed: 1, Out: out},
		launcher: proc.NewLauncher(), dir: filepath.Join(t.TempDir(), "runs"),
		mutants: []mutant{{name: "naive", scenario: "some", check: "order", patch: []byte("--- a/design\n+++ b/design\n@@ -1 +1 @@\n-good\n+naive\n")}},
	}
}

const greenScript = `echo '{"took":"7s","ok":true,"rows":[{"name":"always","ok":true}]}' > "$out"; exit 0`

func TestMutantIsCaughtOnlyIfItsCheckAloneIsRed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mutated, unchanged string
		caught             bool
		said               string
	}{
		"its row":                      {verdictScript(1, "order"), greenScript, true, "red: order"},
		"another row":                  {verdictScript(1, "events"), greenScript, false, "red: events"},
		"its row and another":          {verdictScript(1, "order", "events"), greenScript, false, "red: order, events"},
		"nothing":                      {greenScript, greenScript, false, "no check red"},
		"a failed run":                 {verdictScript(2, "order"), greenScript, false, "exit status 2"},
		"a failed build":               {"exit 2", greenScript, false, "exit status 2"},
		"no verdict":                   {"exit 1", greenScript, false, "no such file"},
		"a verdict of no rows":         {`echo '{"took":"7s","ok":false}' > "$out"; exit 1`, greenScript, false, "contradicts"},
		"a death":                      {"kill -9 $$", greenScript, false, "exit status 137"},
		"its row, also when unchanged": {verdictScript(1, "order"), verdictScript(1, "order"), false, "NOT green"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := runSuite(t.Context(), newTestSuite(t, fakeProve(t, c.mutated, c.unchanged), &out))
			if caught := err == nil; caught != c.caught || err != nil && !errors.Is(err, ErrSurvived) {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(out.String(), c.said) {
				t.Errorf("%q is not in:\n%s", c.said, out.String())
			}
		})
	}
}

func TestMutantIsNotCaughtIfItsPatchDoesNotApply(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newTestSuite(t, fakeProve(t, verdictScript(1, "order"), greenScript), &out)
	r.mutants[0].patch = []byte("--- a/design\n+++ b/design\n@@ -1 +1 @@\n-something else\n+naive\n")
	if err := runSuite(t.Context(), r); !errors.Is(err, ErrSurvived) || !strings.Contains(out.String(), "does not apply") {
		t.Errorf("got %v:\n%s", err, out.String())
	}
}

// cancelOnSecondWrite cancels at its second write, which follows the run on the unchanged tree.
type cancelOnSecondWrite struct {
	writes int
	cancel context.CancelFunc
}

func (c *cancelOnSecondWrite) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		c.cancel()
	}
	return len(p), nil
}

func TestRunReturnsTheCauseWhenCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := runSuite(ctx, newTestSuite(t, fakeProve(t, "exec sleep 600", greenScript), &cancelOnSecondWrite{cancel: cancel}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
