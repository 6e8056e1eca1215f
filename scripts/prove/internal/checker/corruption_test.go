package checker_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// corruption changes a correct history into one that breaks a promise or proves nothing. red are
// the checks that must notice, in their order: none for a deviation that is excused.
type corruption struct {
	red   string
	apply func(*testing.T, *history.Run)
}

func corruptions() map[string]corruption {
	all := map[string]corruption{}
	for _, some := range []map[string]corruption{
		clientHistoryCorruptions, taskHistoryCorruptions, topicCorruptions, effectCorruptions, deadLetterCorruptions, batchLetterCorruptions, upstreamCorruptions, cacheCorruptions, faultCorruptions, replayCorruptions, coverageCorruptions, versionCorruptions, ownerCorruptions, excusedDeviations,
	} {
		maps.Copy(all, some)
	}
	return all
}

func findCall(t *testing.T, run *history.Run, op history.Operation, outcome history.Outcome) *history.Call {
	t.Helper()
	return findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == op && c.Outcome == outcome && c.Tries == 1 })
}

func findEvent(t *testing.T, run *history.Run, of string) *history.Event {
	t.Helper()
	return findFirst(t, run.Events, func(e *history.Event) bool { return e.Type == of })
}

// recordOf returns the first record of an event.
func recordOf(t *testing.T, run *history.Run, id string) *history.Record {
	t.Helper()
	return findFirst(t, run.Topic, func(r *history.Record) bool { return r.Header("event-id") == id })
}

var clientHistoryCorruptions = map[string]corruption{
	"an acknowledged creation has no event": {"client-history", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Create && c.Outcome == history.Refused })
		c.Outcome, c.TaskID = history.Done, 7
	}},
	"an acknowledged update has no event": {"client-history", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool {
			return c.Operation == history.Update && c.Outcome == history.Unknown && !slices.ContainsFunc(run.Events, func(e history.Event) bool { return e.Title == c.Title })
		})
		c.Outcome = history.Done
	}},
	"the version in a response is another update's": {"client-history", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Update && c.TaskID > hotTasks }).Version++
	}},
	"the version in a response does not exist": {"client-history", func(t *testing.T, run *history.Run) {
		findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Complete && c.TaskID > hotTasks }).Version = 99
	}},
	"an acknowledged completion has no event": {"client-history", func(t *testing.T, run *history.Run) {
		c := findCall(t, run, history.Delete, history.Refused)
		c.Operation, c.Outcome, c.TaskID, c.Done = history.Complete, history.Done, 41, true
	}},
	"an acknowledged deletion has no event": {"client-history", func(t *testing.T, run *history.Run) {
		findCall(t, run, history.Delete, history.Refused).Outcome = history.Done
	}},
	"a task was deleted twice": {"client-history", func(t *testing.T, run *history.Run) {
		c := findCall(t, run, history.Delete, history.Refused)
		c.Outcome, c.TaskID = history.Done, findCall(t, run, history.Delete, history.Done).TaskID
	}},
	"a refused update took effect": {"client-history", func(t *testing.T, run *history.Run) {
		findCall(t, run, history.Update, history.Done).Outcome = history.Refused
	}},
	"a refused completion took effect": {"client-history", func(t *testing.T, run *history.Run) {
		findCall(t, run, history.Complete, history.Done).Outcome = history.Refused
	}},
	"a priority changed without a call": {"client-history", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Update && c.Title == "" })
		c.Operation, c.Version = history.Delete, 0
		c.Outcome = history.Refused
	}},
	"the key of a creation is not stored": {"client-history", func(_ *testing.T, run *history.Run) { run.Keys = run.Keys[1:] }},
	"a key belongs to another task": {"client-history", func(_ *testing.T, run *history.Run) {
		run.Keys[0].TaskID, run.Keys[1].TaskID = run.Keys[1].TaskID, run.Keys[0].TaskID
	}},
	"the response names another task than the key": {"client-history", func(t *testing.T, run *history.Run) {
		findCall(t, run, history.Create, history.Done).TaskID = 17
	}},
	"a key that no client sent": {"client-history", func(_ *testing.T, run *history.Run) {
		run.Keys = append(run.Keys, history.Key{Key: "not sent", TaskID: 99})
	}},
	"a creation was made twice": {"client-history", func(t *testing.T, run *history.Run) {
		createSecondTask(t, run, *findFirst(t, run.Events, func(e *history.Event) bool { return e.Type == "task.created" && e.Version == 1 }))
	}},
	"a response is older than an earlier one": {"client-history", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Reopen })
		c.Began, c.Ended = run.EndedAt.Add(time.Second), run.EndedAt.Add(2*time.Second)
	}},
}

// createSecondTask adds a second task with all its facts to a creation.
func createSecondTask(t *testing.T, run *history.Run, e history.Event) {
	n := int64(len(run.Events) + 1)
	e.ID, e.Pos, e.Seq, e.Task.ID = "again "+e.ID, 2*n, n, 99
	b := historyBuilder{Run: *run}
	b.Events = append(b.Events, e)
	b.Tasks = append(b.Tasks, e.Task)
	b.Owners[e.Task.ID] = e.UserID
	for _, reports := range [][]history.UserReport{b.UserReports, b.Replay.UserReports} {
		for i := range reports {
			if reports[i].User == e.UserID {
				reports[i].Tasks.Total++
				reports[i].Tasks.Open++
			}
		}
	}
	b.appendRecord(&e, t, run.EndedAt).Offset = 9999
	b.Replay.Events++
	*run = b.Run
}

var taskHistoryCorruptions = map[string]corruption{
	"a version without an event": {"client-history task-history order", func(_ *testing.T, run *history.Run) {
		i := slices.IndexFunc(run.Events, func(e history.Event) bool { return e.Type == "task.reopened" })
		id := run.Events[i].ID
		run.Events = slices.Delete(run.Events, i, i+1)
		run.Topic = slices.DeleteFunc(run.Topic, func(r history.Record) bool { return r.Header("event-id") == id })
		run.Replay.Events--
	}},
	"a task is behind its events": {"task-history", func(_ *testing.T, run *history.Run) { run.Tasks[0].Version-- }},
	"a task has another title":    {"task-history", func(_ *testing.T, run *history.Run) { run.Tasks[0].Title = "another" }},
	"a task without events": {"task-history", func(_ *testing.T, run *history.Run) {
		run.Tasks = append(run.Tasks, history.Task{ID: 99, Version: 1})
	}},
	"a task is missing": {"task-history", func(_ *testing.T, run *history.Run) { run.Tasks = run.Tasks[1:] }},
	"a deleted task exists": {"task-history", func(t *testing.T, run *history.Run) {
		e := findEvent(t, run, "task.deleted")
		run.Tasks = append(run.Tasks, e.Task)
		run.Owners[e.Task.ID] = e.UserID
	}},
	"two changes of a task are in the wrong order": {"task-history", func(t *testing.T, run *history.Run) {
		a := findEvent(t, run, "task.completed")
		b := findFirst(t, run.Events, func(e *history.Event) bool { return e.Task.ID == a.Task.ID && e.Version == a.Version+1 })
		a.Pos, b.Pos = b.Pos, a.Pos
	}},
}

var topicCorruptions = map[string]corruption{
	"an event has no record": {"events", func(t *testing.T, run *history.Run) {
		e := findFirst(t, run.Events, func(e *history.Event) bool { return e.Type == "task.created" && e.Seq%10 == 5 })
		recordOf(t, run, e.ID).Headers = []history.Header{{Key: "replay-group", Value: "x"}}
	}},
	"an event has a copy only": {"events", func(t *testing.T, run *history.Run) {
		e := &run.Events[10]
		r := recordOf(t, run, e.ID)
		run.Copies = append(run.Copies, history.InjectedRecord{Position: r.Position, EventID: e.ID})
	}},
	"a record has the value of another event": {"events", func(t *testing.T, run *history.Run) {
		r := recordOf(t, run, run.Events[3].ID)
		r.Value = recordOf(t, run, run.Events[6].ID).Value
	}},
	"a record has another key": {"events", func(t *testing.T, run *history.Run) {
		recordOf(t, run, run.Events[3].ID).Key = []byte("task-999")
	}},
	"a record has no event": {"events", func(_ *testing.T, run *history.Run) {
		run.Topic = append(run.Topic, history.Record{
			Position: history.Position{Partition: 2, Offset: 9999}, Key: []byte("task-1"), Value: []byte(`{"id":"ghost","type":"task.completed","task_id":1}`), Time: run.EndedAt,
		})
	}},
	"two records of a task are swapped": {"order", func(t *testing.T, run *history.Run) {
		a := findEvent(t, run, "task.completed")
		b := findFirst(t, run.Events, func(e *history.Event) bool { return e.Task.ID == a.Task.ID && e.Version == a.Version+1 })
		first, second := recordOf(t, run, a.ID), recordOf(t, run, b.ID)
		first.Offset, second.Offset = second.Offset, first.Offset
	}},
	"a task's events are in two partitions": {"order", func(t *testing.T, run *history.Run) {
		r := recordOf(t, run, findEvent(t, run, "task.deleted").ID)
		r.Partition, r.Offset = (r.Partition+1)%partitions, 9999
	}},
	"an event has no sequence number": {"order", func(_ *testing.T, run *history.Run) { run.Events[len(run.Events)-1].Seq = 0 }},
	"a sequence number is skipped":    {"order", func(_ *testing.T, run *history.Run) { run.Events[len(run.Events)-1].Seq++ }},
	"a sequence number is used twice": {"order", func(_ *testing.T, run *history.Run) { run.Events[9].Seq = run.Events[10].Seq }},
}
