package checker_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/todo/scripts/prove/internal/history"
)

// runStart is two minutes before midnight, so the run continues into the next day.
var runStart = time.Date(2026, 1, 15, 23, 58, 0, 0, time.UTC)

func atSecond(s float64) time.Time { return runStart.Add(time.Duration(s * float64(time.Second))) }

const (
	tasks        = 40
	hotTasks     = 3
	partitions   = 3
	callInterval = 750 * time.Millisecond // between two calls
)

// historyBuilder builds the history of a correct run, call by call.
type historyBuilder struct {
	history.Run
	now   time.Time
	state map[int64]*history.Task
}

// goodRun returns the history of a correct run: about 280 calls in three and a half minutes, with
// one fault after another.
func goodRun(t testing.TB) *history.Run {
	t.Helper()
	w := &historyBuilder{now: runStart, state: map[int64]*history.Task{}}
	w.Seed, w.StartedAt = 42, runStart
	w.injectFaults()
	w.runCalls()
	w.EndedAt = w.now
	w.Changes = len(w.Events) - 10
	w.publishEvents(t)
	w.injectRecords(t)
	w.assignOffsets()
	w.deliver()
	w.deadLetterPoison()
	w.Stats = w.statsReports()
	w.replay()
	return &w.Run
}

func (w *historyBuilder) injectFaults() {
	fault := func(kind, target string, began, lasting float64) {
		w.Faults = append(w.Faults, history.Fault{
			Kind: kind, Target: target, Began: atSecond(began), Ended: atSecond(began + lasting), Requests: 4, Backlog: 9,
		})
		w.Expected.Faults = append(w.Expected.Faults, history.ExpectedFault{
			Kind: kind, Target: target, MinDuration: time.Duration(lasting * float64(time.Second)),
		})
	}
	fault("kill", "notification-service-1", 70, 1)
	fault("freeze", "todo-service-1", 40, 60)
	fault("kill", "kafka", 120, 20)
	fault("flush", "redis", 150, 0)
	fault("stall", "redis-cache", 160, 5)
	fault("failover", "postgres", 100, 5)
	w.Expected.Failpoints, w.Expected.HitsPerFailpoint = []string{"after_send_before_done"}, 3
	w.Exits = append(w.Exits, history.ProcessExit{Target: "notification-service-1", At: atSecond(70), Status: "signal: killed", Requested: true})
	for i := range 3 {
		at := atSecond(172 + float64(i))
		w.Crashes = append(w.Crashes, history.Crash{Failpoint: "after_send_before_done", Target: "notification-service-2", InFlight: fmt.Sprint(i), At: at})
		w.Exits = append(w.Exits, history.ProcessExit{Target: "notification-service-2", At: at, Status: "signal: killed"})
	}
	for i := range 12 {
		for replica := range 2 {
			w.Memory = append(w.Memory, history.MemorySample{
				Target: fmt.Sprintf("todo-service-%d", replica+1), At: atSecond(119 + 2*float64(i)), Resident: 50<<20 + int64(i)<<10,
			})
		}
	}
}

// runCalls lets clients change the tasks in turn, and read the list of the hot ones.
func (w *historyBuilder) runCalls() {
	for id := int64(1); id <= tasks; id++ {
		w.makeCall(history.Create, id)
	}
	steps := []history.Operation{history.Update, history.Complete, history.Reopen, history.Complete, history.Update, history.Delete}
	for i, step := range steps {
		for id := int64(1); id <= tasks; id++ {
			switch {
			case step == history.Delete && (id <= hotTasks || id%3 != 0):
				continue
			case i == 4 && id%2 == 0:
				w.updatePriority(id)
			default:
				w.makeCall(step, id)
			}
			if id%5 == 0 {
				w.readList()
			}
		}
	}
	w.makeFailedCalls()
}

// makeCall adds a successful call.
func (w *historyBuilder) makeCall(op history.Operation, id int64) *history.Call {
	c := w.startCall(op, id)
	c.Outcome, c.Status = history.Done, "200"
	w.commit(c)
	return c
}

func (w *historyBuilder) updatePriority(id int64) {
	c := w.startCall(history.Update, id)
	c.Title, c.Priority, c.Outcome, c.Status = "", 50, history.Done, "200"
	w.commit(c)
}

func (w *historyBuilder) startCall(op history.Operation, id int64) *history.Call {
	w.now = w.now.Add(callInterval)
	n := len(w.Calls) + 1
	w.Calls = append(w.Calls, history.Call{
		Number: n, Transport: []string{"http", "grpc"}[n%2], Replica: 1 + n/2%2, Operation: op, TaskID: id, Tries: 1,
		Began: w.now, Ended: w.now.Add(20 * time.Millisecond),
	})
	c := &w.Calls[n-1]
	if op == history.Create || op == history.Update {
		c.Title = fmt.Sprintf("title of call %d", n)
	}
	if op == history.Create {
		c.Key = fmt.Sprintf("key-%d", n)
		c.Tries = 1 + n%2
	}
	return c
}

// commit adds the effect of a call.
func (w *historyBuilder) commit(c *history.Call) {
	types := map[history.Operation]string{
		history.Create: "task.created", history.Update: "task.updated", history.Complete: "task.completed",
		history.Reopen: "task.reopened", history.Delete: "task.deleted",
	}
	s := w.state[c.TaskID]
	if s == nil {
		s = &history.Task{ID: c.TaskID}
		w.state[c.TaskID] = s
	}
	s.Version++
	switch c.Operation {
	case history.Complete, history.Reopen:
		s.Done = c.Operation == history.Complete
	case history.Update, history.Create:
		s.Priority = max(s.Priority, c.Priority)
	}
	if c.Title != "" {
		s.Title = c.Title
	}
	if c.Operation != history.Delete {
		c.Version, c.Done = s.Version, s.Done
	}
	n := int64(len(w.Events) + 1)
	e := history.Event{
		Pos: 2 * n, Seq: n, ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n)).String(), Type: types[c.Operation],
		TaskID: s.ID, Title: s.Title, Priority: s.Priority, Version: s.Version, Done: s.Done, At: c.Began.Add(10*time.Millisecond + 123*time.Microsecond),
	}
	w.Events = append(w.Events, e)
	if c.Key != "" {
		w.Keys = append(w.Keys, history.Key{Key: c.Key, EventID: e.ID, TaskID: e.TaskID})
	}
	if c.Operation == history.Delete {
		delete(w.state, c.TaskID)
	}
}

func (w *historyBuilder) readList() {
	r := history.ListRead{Began: w.now.Add(100 * time.Millisecond), Ended: w.now.Add(120 * time.Millisecond), Replica: 1, CacheStatus: "hit", Versions: map[int64]int64{}}
	for id := int64(1); id <= hotTasks; id++ {
		if s := w.state[id]; s != nil {
			r.Versions[id] = s.Version
		}
	}
	w.Reads = append(w.Reads, r)
}

// makeFailedCalls adds calls that were refused or have no outcome. Some of these took effect.
func (w *historyBuilder) makeFailedCalls() {
	refused := w.startCall(history.Create, 0)
	refused.Outcome, refused.Status = history.Refused, "503"
	missing := w.startCall(history.Delete, 3)
	missing.Outcome, missing.Status = history.Refused, "404"
	for i, op := range []history.Operation{history.Create, history.Create, history.Update, history.Update} {
		c := w.startCall(op, 5)
		if op == history.Create {
			c.TaskID = int64(tasks + 1 + i)
		}
		c.Outcome = history.Unknown
		if i%2 == 0 {
			w.commit(c)
			c.Version, c.Done = 0, false
		}
		if op == history.Create {
			c.TaskID = 0
		}
	}
}

// publishEvents adds the events' records. They wait while the relay is frozen or Kafka is down.
func (w *historyBuilder) publishEvents(t testing.TB) {
	for _, s := range w.state {
		w.Tasks = append(w.Tasks, *s)
	}
	last := runStart
	for i := range w.Events {
		e := &w.Events[i]
		at := e.At.Add(30 * time.Millisecond)
		if at.After(atSecond(40)) && at.Before(atSecond(52)) {
			at = atSecond(52)
		}
		if at.After(atSecond(120)) && at.Before(atSecond(140)) {
			at = atSecond(140.5)
		}
		if at.Before(last) {
			at = last
		}
		last = at
		w.appendRecord(e, t, at)
		if i%50 == 0 {
			w.appendRecord(e, t, at) // repeated after a takeover
		}
	}
}

func (w *historyBuilder) appendRecord(e *history.Event, t testing.TB, at time.Time) *history.Record {
	value, err := json.Marshal(map[string]any{
		"id": e.ID, "type": e.Type, "task_id": e.TaskID, "task_title": e.Title, "timestamp": e.At,
		"task": map[string]any{"id": e.TaskID, "title": e.Title, "priority": e.Priority, "done": e.Done, "version": e.Version},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Topic = append(w.Topic, history.Record{
		Partition: int32(e.TaskID % partitions), Key: fmt.Appendf(nil, "task-%d", e.TaskID), Value: value, Time: at,
		Headers: []history.Header{{Key: "event-type", Value: e.Type}, {Key: "event-id", Value: e.ID}},
	})
	return &w.Topic[len(w.Topic)-1]
}
