package checker_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// corruption is a way in which a system can break its promises, or a run prove
// nothing, and the rows, in their order, that have to notice.
type corruption struct {
	red   string
	spoil func(*testing.T, *history.Run)
}

func corruptions() map[string]corruption {
	all := map[string]corruption{}
	for _, some := range []map[string]corruption{
		inTheJournal, inTheHistory, inTheTopic, inTheEffects, inTheDeadLetters, inTheLettersOfBatches, upstream, inTheCache, whileAway, onceMore, inTheRun,
	} {
		maps.Copy(all, some)
	}
	return all
}

func call(t *testing.T, run *history.Run, op history.Operation, outcome history.Outcome) *history.Call {
	t.Helper()
	return find(t, run.Calls, func(c *history.Call) bool { return c.Operation == op && c.Outcome == outcome && c.Tries == 1 })
}

func event(t *testing.T, run *history.Run, of string) *history.Event {
	t.Helper()
	return find(t, run.Events, func(e *history.Event) bool { return e.Type == of })
}

// sentAs returns the first record of an event.
func sentAs(t *testing.T, run *history.Run, id string) *history.Record {
	t.Helper()
	return find(t, run.Topic, func(r *history.Record) bool { return r.Header("event-id") == id })
}

var inTheJournal = map[string]corruption{
	"a creation was answered and is not there": {"client-history", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Create && c.Outcome == history.Refused })
		c.Outcome, c.TaskID = history.Done, 7
	}},
	"a change was answered and is not there": {"client-history", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool {
			return c.Operation == history.Update && c.Outcome == history.Unknown && !slices.ContainsFunc(run.Events, func(e history.Event) bool { return e.Title == c.Title })
		})
		c.Outcome = history.Done
	}},
	"a change is not what the version shown says": {"client-history", func(t *testing.T, run *history.Run) {
		find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Update && c.TaskID > hotTasks }).Version++
	}},
	"a version was shown that there is not": {"client-history", func(t *testing.T, run *history.Run) {
		find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Complete && c.TaskID > hotTasks }).Version = 99
	}},
	"a completion was answered and never happened": {"client-history", func(t *testing.T, run *history.Run) {
		c := call(t, run, history.Delete, history.Refused)
		c.Operation, c.Outcome, c.TaskID, c.Done = history.Complete, history.Done, 41, true
	}},
	"a deletion was answered and never happened": {"client-history", func(t *testing.T, run *history.Run) {
		call(t, run, history.Delete, history.Refused).Outcome = history.Done
	}},
	"a task was deleted twice": {"client-history", func(t *testing.T, run *history.Run) {
		c := call(t, run, history.Delete, history.Refused)
		c.Outcome, c.TaskID = history.Done, call(t, run, history.Delete, history.Done).TaskID
	}},
	"a refused creation happened": {"client-history", func(t *testing.T, run *history.Run) {
		call(t, run, history.Update, history.Done).Outcome = history.Refused
	}},
	"a refused completion happened": {"client-history", func(t *testing.T, run *history.Run) {
		call(t, run, history.Complete, history.Done).Outcome = history.Refused
	}},
	"a change of the priority that nobody asked for": {"client-history", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Update && c.Title == "" })
		c.Operation, c.Version = history.Delete, 0
		c.Outcome = history.Refused
	}},
	"a key made nothing that is known": {"client-history", func(_ *testing.T, run *history.Run) { run.Keys = run.Keys[1:] }},
	"a key stands for another task": {"client-history", func(_ *testing.T, run *history.Run) {
		run.Keys[0].TaskID, run.Keys[1].TaskID = run.Keys[1].TaskID, run.Keys[0].TaskID
	}},
	"the answer names another task than the key made": {"client-history", func(t *testing.T, run *history.Run) {
		call(t, run, history.Create, history.Done).TaskID = 17
	}},
	"a key that nobody sent": {"client-history", func(_ *testing.T, run *history.Run) {
		run.Keys = append(run.Keys, history.Key{Key: "of nobody", TaskID: 99})
	}},
	"a creation was made twice": {"client-history", func(t *testing.T, run *history.Run) {
		madeTwice(t, run, *find(t, run.Events, func(e *history.Event) bool { return e.Type == "task.created" && e.Version == 1 }))
	}},
	"an answer steps back behind another": {"client-history", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Reopen })
		c.Began, c.Ended = run.EndedAt.Add(time.Second), run.EndedAt.Add(2*time.Second)
	}},
}

// madeTwice lets a creation make a second task, whole and announced.
func madeTwice(t *testing.T, run *history.Run, e history.Event) {
	n := int64(len(run.Events) + 1)
	e.ID, e.Pos, e.Seq, e.TaskID = "again "+e.ID, 2*n, n, 99
	w := world{Run: *run}
	w.Events = append(w.Events, e)
	w.Tasks = append(w.Tasks, history.Task{ID: e.TaskID, Title: e.Title, Priority: e.Priority, Done: e.Done, Version: e.Version})
	w.append(&e, t, run.EndedAt).Offset = 9999
	w.Replay.Events++
	*run = w.Run
}

var inTheHistory = map[string]corruption{
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
	"a task is gone": {"task-history", func(_ *testing.T, run *history.Run) { run.Tasks = run.Tasks[1:] }},
	"a deleted task is there": {"task-history", func(t *testing.T, run *history.Run) {
		e := event(t, run, "task.deleted")
		run.Tasks = append(run.Tasks, history.Task{ID: e.TaskID, Title: e.Title, Priority: e.Priority, Done: e.Done, Version: e.Version})
	}},
	"two changes of a task lie the wrong way round": {"task-history", func(t *testing.T, run *history.Run) {
		a := event(t, run, "task.completed")
		b := find(t, run.Events, func(e *history.Event) bool { return e.TaskID == a.TaskID && e.Version == a.Version+1 })
		a.Pos, b.Pos = b.Pos, a.Pos
	}},
}

var inTheTopic = map[string]corruption{
	"an event never came": {"events", func(t *testing.T, run *history.Run) {
		e := find(t, run.Events, func(e *history.Event) bool { return e.Type == "task.created" && e.Seq%10 == 5 })
		sentAs(t, run, e.ID).Headers = []history.Header{{Key: "replay-group", Value: "x"}}
	}},
	"only a copy of an event is there": {"events", func(t *testing.T, run *history.Run) {
		e := &run.Events[10]
		r := sentAs(t, run, e.ID)
		run.Copies = append(run.Copies, history.InjectedRecord{Partition: r.Partition, Offset: r.Offset, EventID: e.ID})
	}},
	"an event says something else": {"events", func(t *testing.T, run *history.Run) {
		r := sentAs(t, run, run.Events[3].ID)
		r.Value = sentAs(t, run, run.Events[6].ID).Value
	}},
	"an event has another key": {"events", func(t *testing.T, run *history.Run) {
		sentAs(t, run, run.Events[3].ID).Key = []byte("task-999")
	}},
	"an event that nothing committed": {"events", func(_ *testing.T, run *history.Run) {
		run.Topic = append(run.Topic, history.Record{
			Partition: 2, Offset: 9999, Key: []byte("task-1"), Value: []byte(`{"id":"ghost","type":"task.completed","task_id":1}`), Time: run.EndedAt,
		})
	}},
	"two events of a task change places": {"order", func(t *testing.T, run *history.Run) {
		a := event(t, run, "task.completed")
		b := find(t, run.Events, func(e *history.Event) bool { return e.TaskID == a.TaskID && e.Version == a.Version+1 })
		first, second := sentAs(t, run, a.ID), sentAs(t, run, b.ID)
		first.Offset, second.Offset = second.Offset, first.Offset
	}},
	"a task's events are in two partitions": {"order", func(t *testing.T, run *history.Run) {
		r := sentAs(t, run, event(t, run, "task.deleted").ID)
		r.Partition, r.Offset = (r.Partition+1)%partitions, 9999
	}},
	"an event has no number":  {"order", func(_ *testing.T, run *history.Run) { run.Events[len(run.Events)-1].Seq = 0 }},
	"a number is skipped":     {"order", func(_ *testing.T, run *history.Run) { run.Events[len(run.Events)-1].Seq++ }},
	"a number is taken twice": {"order", func(_ *testing.T, run *history.Run) { run.Events[9].Seq = run.Events[10].Seq }},
}
