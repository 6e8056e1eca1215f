package checker_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/printable"
	"example.com/todo/scripts/prove/internal/checker"
)

func sampleVerdict() checker.Verdict {
	return checker.Verdict{
		Seed: 7, RequestedChanges: 20_000, Changes: 19_876, Duration: "5m12s",
		Checks: []checker.Check{
			{Name: "events", Promise: "all of them", Figure: "0 of 19,876 missing", OK: true},
			{Name: "order", Promise: "0 inversions", Figure: "1 inversion", Details: []string{"1/5: version 2 of task 3, after version 4"}},
		},
		Faults:     []checker.FaultSummary{{Kind: "kill", Target: "kafka", Times: 3, WithWorkInFlight: 2, Requests: 31, Backlog: 1200, Longest: "20s"}},
		Failpoints: []checker.FailpointSummary{{Name: "before_effect", Hits: 4, DistinctInFlight: 3}},
	}
}

func TestWriteTableShowsTheViolationsOfARedCheck(t *testing.T) {
	t.Parallel()
	want := strings.TrimPrefix(`
TARGET  FAULT  WITH WORK IN FLIGHT  REQUESTS  BACKLOG  LONGEST
kafka   kill   2 of 3               31        1,200    20s

FAILPOINT      HITS  DIFFERENT WORK
before_effect  4     3

ok   events  0 of 19,876 missing
RED  order   1 inversion
       promised: 0 inversions
       - 1/5: version 2 of task 3, after version 4

RED  19,876 changes in 5m12s, seed 7
`, "\n")
	if diff := cmp.Diff(want, formatTable(t, sampleVerdict())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVerdictJSONRoundTrips(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := sampleVerdict().WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got checker.Verdict
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleVerdict(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{`"ok": false`, `"rows"`, `"faults"`, `"crash_points"`, `"seed": 7`} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("no %s in\n%s", name, out.String())
		}
	}
}

func TestCheckShowsTheFirstViolationsAndCountsTheRest(t *testing.T) {
	t.Parallel()
	run := goodRun(t)
	run.Topic = nil
	for _, row := range checker.Judge(run).Checks {
		if row.Name == "events" && (len(row.Details) != 9 || row.Details[8] != "and 246 more") {
			t.Errorf("details:\n%s", strings.Join(row.Details, "\n"))
		}
	}
}

func TestWriteTableEscapesAndBoundsForeignText(t *testing.T) {
	t.Parallel()
	v := sampleVerdict()
	v.Checks[1].Figure = "title \x1b[2J\nok   events"
	v.Checks[1].Details = []string{"title \u202e\xff", strings.Repeat("\x1b", 20_000)}
	shown := formatTable(t, v)
	for _, want := range []string{`RED  order   title \x1b[2J\nok   events` + "\n", `       - title \u202e\xff` + "\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in:\n%s", want, shown)
		}
	}
	if printable.EscapeLines(shown) != shown || len(shown) > 3<<10 {
		t.Errorf("%d bytes: %q", len(shown), shown)
	}
}
