package checker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/history"
)

func redChecks(v checker.Verdict) (names []string) {
	for _, row := range v.Checks {
		if !row.OK {
			names = append(names, row.Name)
		}
	}
	return names
}

func formatTable(t *testing.T, v checker.Verdict) string {
	t.Helper()
	var out strings.Builder
	if err := v.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJudgeIsRedForAnEmptyHistoryWhereTheScenarioExpectsSomething(t *testing.T) {
	t.Parallel()
	run := &history.Run{Changes: 100, Expected: goodRun(t).Expected}
	want := []string{"workload", "owners", "stats", "delivery-order", "cache", "freeze", "outage", "backlog", "failover", "versions", "replay", "faults", "failpoints", "poison"}
	if diff := cmp.Diff(want, redChecks(checker.Judge(run))); diff != "" {
		t.Errorf("red checks (-want +got):\n%s", diff)
	}
}

func TestJudgeTurnsExactlyTheRightChecksRedForEachCorruption(t *testing.T) {
	t.Parallel()
	for name, c := range corruptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := goodRun(t)
			c.apply(t, run)
			v := checker.Judge(run)
			if red := strings.Join(redChecks(v), " "); red != c.red {
				t.Errorf("red: %q, want %q\n%s", red, c.red, formatTable(t, v))
			}
		})
	}
}

func TestEveryCheckHasACorruptionThatTurnsItRedAlone(t *testing.T) {
	t.Parallel()
	alone := map[string]bool{}
	for _, c := range corruptions() {
		alone[c.red] = true
	}
	for _, row := range checker.Judge(goodRun(t)).Checks {
		if !alone[row.Name] {
			t.Errorf("no corruption turns only %q red", row.Name)
		}
	}
}

func requireNoRedCheck(t *testing.T, run *history.Run) {
	t.Helper()
	if v := checker.Judge(run); len(redChecks(v)) > 0 {
		t.Error(formatTable(t, v))
	}
}

// findFirst returns the first element that matches.
func findFirst[T any](t *testing.T, all []T, so func(*T) bool) *T {
	t.Helper()
	i := slices.IndexFunc(all, func(one T) bool { return so(&one) })
	if i < 0 {
		t.Fatal("the correct history has no such element")
	}
	return &all[i]
}
