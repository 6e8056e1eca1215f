package checker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/history"
)

func red(v checker.Verdict) (names []string) {
	for _, row := range v.Checks {
		if !row.OK {
			names = append(names, row.Name)
		}
	}
	return names
}

func table(t *testing.T, v checker.Verdict) string {
	t.Helper()
	var out strings.Builder
	if err := v.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestARunInWhichAllWentWellIsGreen(t *testing.T) {
	t.Parallel()
	v := checker.Judge(goodRun(t))
	if !v.OK() {
		t.Errorf("red:\n%s", table(t, v))
	}
	t.Log("\n" + table(t, v))
}

func TestARunWithoutAnythingIsRedWhereSomethingWasExpected(t *testing.T) {
	t.Parallel()
	run := &history.Run{Changes: 100, Expected: goodRun(t).Expected}
	want := []string{"workload", "stats", "delivery-order", "cache", "freeze", "outage", "backlog", "failover", "replay", "faults", "failpoints", "poison"}
	if diff := cmp.Diff(want, red(checker.Judge(run))); diff != "" {
		t.Errorf("red rows (-want +got):\n%s", diff)
	}
}

func TestEachCorruptionTurnsItsRowRed(t *testing.T) {
	t.Parallel()
	for name, c := range corruptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := goodRun(t)
			c.spoil(t, run)
			v := checker.Judge(run)
			if diff := cmp.Diff(strings.Fields(c.red), red(v)); diff != "" {
				t.Errorf("red rows (-want +got):\n%s\n%s", diff, table(t, v))
			}
		})
	}
}

func TestEveryRowHasACorruptionThatTurnsItRedAlone(t *testing.T) {
	t.Parallel()
	alone := map[string]bool{}
	for _, c := range corruptions() {
		alone[c.red] = true
	}
	for _, row := range checker.Judge(goodRun(t)).Checks {
		if !alone[row.Name] {
			t.Errorf("nothing turns %q red alone", row.Name)
		}
	}
}

// find returns the first that is so.
func find[T any](t *testing.T, all []T, so func(*T) bool) *T {
	t.Helper()
	i := slices.IndexFunc(all, func(one T) bool { return so(&one) })
	if i < 0 {
		t.Fatal("the good run has none such")
	}
	return &all[i]
}
