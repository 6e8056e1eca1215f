package checker_test

import (
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

func findShare(t *testing.T, run *history.Run, replica string) *history.Share {
	t.Helper()
	return findFirst(t, run.Shares, func(s *history.Share) bool { return s.Replica == replica })
}

var versionCorruptions = map[string]corruption{
	"a replica responded with a 5xx": {"server-errors", func(_ *testing.T, run *history.Run) {
		run.ServerErrors = []history.ServerError{{At: atSecond(60), Replica: 1, Request: "grpc create", Status: "Unavailable"}}
	}},
	"a consumer ran the other version": {"versions", func(t *testing.T, run *history.Run) {
		findShare(t, run, "stats-service-2").Version = history.Working
	}},
	"a replica was not measured":         {"versions", func(_ *testing.T, run *history.Run) { run.Shares = run.Shares[1:] }},
	"a consumer handled no record":       {"versions", func(t *testing.T, run *history.Run) { findShare(t, run, "notification-service-1").Records = 0 }},
	"the released version has no name":   {"versions", func(_ *testing.T, run *history.Run) { run.Released = "" }},
	"a replica of todo-service was idle": {"versions", func(t *testing.T, run *history.Run) { findShare(t, run, "todo-service-1").Began = run.EndedAt }},
	"an upgraded consumer delivered twice": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "upgrade", Target: "notification-service-2", Began: atSecond(75), Ended: atSecond(90), Requests: 1})
		d := findFirst(t, run.Deliveries, func(d *history.Delivery) bool { return d.Status == 200 && d.At.After(atSecond(80)) })
		deliverAgain(run, *d, atSecond(89))
	}},
}

// Where only one version runs, servers fail on purpose.
func TestServerErrorsAreNotJudgedWhereOnlyOneVersionRuns(t *testing.T) {
	t.Parallel()
	run := goodRun(t)
	run.Expected.Versions, run.Released, run.Shares = nil, "", nil
	run.ServerErrors = []history.ServerError{{At: runStart.Add(time.Minute), Status: "503"}}
	requireNoRedCheck(t, run)
}
