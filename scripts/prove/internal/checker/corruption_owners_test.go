package checker_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"example.com/todo/scripts/prove/internal/history"
)

// withUser replaces the user in a record's value.
func withUser(t *testing.T, r *history.Record, from, to int64) {
	t.Helper()
	changed := bytes.Replace(r.Value, fmt.Appendf(nil, `"user_id":%d`, from), fmt.Appendf(nil, `"user_id":%d`, to), 1)
	if bytes.Equal(changed, r.Value) {
		t.Fatalf("the record is not of user %d: %s", from, r.Value)
	}
	r.Value = changed
}

var ownerCorruptions = map[string]corruption{
	"a task is stored for another user": {"owners", func(_ *testing.T, run *history.Run) { run.Owners[7] = ownerOf(8) }},
	"a task is stored without a user":   {"owners", func(_ *testing.T, run *history.Run) { delete(run.Owners, 7) }},
	"an event is stored for another user": {"owners", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Events, func(e *history.Event) bool { return e.Task.ID == 7 && e.Version == 3 }).UserID = ownerOf(8)
	}},
	"a record names another user": {"owners", func(t *testing.T, run *history.Run) {
		withUser(t, recordOf(t, run, run.Events[6].ID), ownerOf(7), ownerOf(8))
	}},
	"a copy names no user": {"owners", func(t *testing.T, run *history.Run) {
		position := run.Copies[1].Position
		r := findFirst(t, run.Topic, func(r *history.Record) bool { return r.Position == position })
		withUser(t, r, findFirst(t, run.Events, func(e *history.Event) bool { return e.ID == run.Copies[1].EventID }).UserID, 0)
	}},
	"a creation without a response made a task for another user": {"owners", func(t *testing.T, run *history.Run) {
		e := findFirst(t, run.Events, func(e *history.Event) bool {
			return slices.ContainsFunc(run.Calls, func(c history.Call) bool {
				return c.Operation == history.Create && c.Outcome == history.Unknown && c.Title == e.Title
			})
		})
		run.Owners[e.Task.ID] = e.UserID + 1
	}},

	"a list showed another user's task": {"owners", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Sightings, func(s *history.Sighting) bool { return s.Where == "GET /tasks" }).TaskID++
	}},
	"the cached list was another user's": {"owners", func(t *testing.T, run *history.Run) {
		r := readWithHealthyCache(t, run)
		r.User = ownerOf(1)
		s := findFirst(t, run.Sightings, func(s *history.Sighting) bool { return s.Where == "GET /tasks" && s.User == ownerOf(2) })
		again := *s
		again.User = r.User
		run.Sightings = append(run.Sightings, again)
	}},
	"a stream showed a task that no call created": {"owners", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Sightings, func(s *history.Sighting) bool { return s.Where == "WatchTasks" }).TaskID = 999
	}},
	"a response showed another task's title": {"owners", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Sightings, func(s *history.Sighting) bool { return s.Where == "grpc complete" }).Title = run.Events[9].Title
	}},
	"a user was shown nothing by a stream": {"owners", func(_ *testing.T, run *history.Run) {
		run.Sightings = slices.DeleteFunc(run.Sightings, func(s history.Sighting) bool { return s.User == users[0] && s.Where == "GET /events" })
	}},
	"another user's task was found":                      {"owners", func(_ *testing.T, run *history.Run) { run.ForeignRequests[0].Status = "200" }},
	"a request for another user's task told its version": {"owners", func(_ *testing.T, run *history.Run) { run.ForeignRequests[2].Status = "412" }},
	"no user requested another's history": {"owners", func(_ *testing.T, run *history.Run) {
		run.ForeignRequests = slices.DeleteFunc(run.ForeignRequests, func(r history.ForeignRequest) bool { return r.Request == "ListTaskEvents" })
	}},
	"a user requested its own task as another's": {"owners", func(_ *testing.T, run *history.Run) {
		run.ForeignRequests[0].User = ownerOf(run.ForeignRequests[0].TaskID)
	}},

	"a completion was counted for another user": {"owners", func(_ *testing.T, run *history.Run) {
		run.UserReports[0].Total--
		run.UserReports[1].Total++
	}},
	"a user was shown the number of another's tasks": {"owners", func(_ *testing.T, run *history.Run) {
		run.UserReports[0].Tasks = run.UserReports[1].Tasks
	}},
	"no user was shown its statistics":  {"owners", func(_ *testing.T, run *history.Run) { run.UserReports = nil }},
	"the replay was counted for a user": {"replay", func(_ *testing.T, run *history.Run) { run.Replay.UserReports[0].ByDay["2026-01-15"]++ }},

	"calls succeeded while Redis was away": {"owners", func(_ *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "outage", Target: "redis", Began: atSecond(20), Ended: atSecond(32), Requests: 1})
	}},
	"calls succeeded after a flush of Redis without a sign-in": {"owners", func(_ *testing.T, run *history.Run) {
		run.SignIns = slices.DeleteFunc(run.SignIns, func(s history.SignIn) bool { return s.User == users[1] && s.Began.After(atSecond(150)) })
	}},
	"one user signed in": {"owners", func(_ *testing.T, run *history.Run) {
		run.SignIns = slices.DeleteFunc(run.SignIns, func(s history.SignIn) bool { return s.User == users[1] })
	}},
}
