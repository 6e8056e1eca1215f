package checker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	b := &historyBuilder{now: runStart, state: map[int64]*history.Task{}}
	b.Seed, b.StartedAt = 42, runStart
	b.injectFaults()
	b.runCalls()
	b.signIn()
	b.EndedAt = b.now
	b.shareWork()
	b.Changes = len(b.Events) - 10
	b.publishEvents(t)
	b.injectRecords(t)
	b.assignOffsets()
	b.deliver()
	b.deadLetterPoison()
	b.Stats, b.UserReports = b.statsReports(), b.userReports()
	b.replay()
	return &b.Run
}

func (b *historyBuilder) injectFaults() {
	fault := func(kind, target string, began, lasting float64) {
		b.Faults = append(b.Faults, history.Fault{
			Kind: kind, Target: target, Began: atSecond(began), Ended: atSecond(began + lasting), Requests: 4, Backlog: 9,
		})
		b.Expected.Faults = append(b.Expected.Faults, history.ExpectedFault{
			Kind: kind, Target: target, MinDuration: time.Duration(lasting * float64(time.Second)),
		})
	}
	fault("kill", "notification-service-1", 70, 1)
	fault("freeze", "todo-service-1", 40, 60)
	fault("kill", "kafka", 120, 20)
	fault("flush", "redis", 150, 0)
	fault("stall", "redis-cache", 160, 5)
	fault("failover", "postgres", 100, 5)
	b.Expected.Failpoints, b.Expected.HitsPerFailpoint = []string{"after_send_before_done"}, 3
	b.Exits = append(b.Exits, history.ProcessExit{Target: "notification-service-1", At: atSecond(70), Status: "signal: killed", Requested: true})
	for i := range 3 {
		at := atSecond(172 + float64(i))
		b.Crashes = append(b.Crashes, history.Crash{Failpoint: "after_send_before_done", Target: "notification-service-2", InFlight: fmt.Sprint(i), At: at})
		b.Exits = append(b.Exits, history.ProcessExit{Target: "notification-service-2", At: at, Status: "signal: killed"})
	}
	for i := range 12 {
		for replica := range 2 {
			b.Memory = append(b.Memory, history.MemorySample{
				Target: fmt.Sprintf("todo-service-%d", replica+1), At: atSecond(119 + 2*float64(i)), Resident: 50<<20 + int64(i)<<10,
			})
		}
	}
}

// shareWork lets both versions run side by side in the last minute.
func (b *historyBuilder) shareWork() {
	b.Released, b.Expected.Versions = "v0.9.0", map[string]string{}
	for _, service := range []string{"todo-service", "notification-service", "stats-service"} {
		for n, version := range []string{history.Working, history.Released} {
			s := history.Share{Replica: fmt.Sprintf("%s-%d", service, n+1), Version: version, Began: b.now.Add(-time.Minute), Ended: b.now, Records: 40}
			if service == "todo-service" {
				s.Records = 0
			}
			b.Shares = append(b.Shares, s)
			b.Expected.Versions[s.Replica] = version
		}
	}
}

// runCalls lets clients change the tasks in turn, and read the list of the hot ones.
func (b *historyBuilder) runCalls() {
	for id := int64(1); id <= tasks; id++ {
		b.makeCall(history.Create, id)
	}
	steps := []history.Operation{history.Update, history.Complete, history.Reopen, history.Complete, history.Update, history.Delete}
	for i, step := range steps {
		for id := int64(1); id <= tasks; id++ {
			switch {
			case step == history.Delete && (id <= hotTasks || id%3 != 0):
				continue
			case i == 4 && id%2 == 0:
				b.updatePriority(id)
			default:
				b.makeCall(step, id)
			}
			if id%5 == 0 {
				b.readLists()
			}
		}
	}
	b.makeFailedCalls()
}

// makeCall adds a successful call.
func (b *historyBuilder) makeCall(op history.Operation, id int64) *history.Call {
	c := b.startCall(op, id)
	c.Outcome, c.Status = history.Done, "200"
	b.commit(c)
	return c
}

func (b *historyBuilder) updatePriority(id int64) {
	c := b.startCall(history.Update, id)
	c.Title, c.Priority, c.Outcome, c.Status = "", 50, history.Done, "200"
	b.commit(c)
}

func (b *historyBuilder) startCall(op history.Operation, id int64) *history.Call {
	b.now = b.now.Add(callInterval)
	n := len(b.Calls) + 1
	b.Calls = append(b.Calls, history.Call{
		Number: n, User: ownerOf(id), Transport: []string{"http", "grpc"}[n%2], Replica: n / 2 % 2, Operation: op, TaskID: id, Tries: 1,
		Began: b.now, Ended: b.now.Add(20 * time.Millisecond),
	})
	c := &b.Calls[n-1]
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
func (b *historyBuilder) commit(c *history.Call) {
	types := map[history.Operation]string{
		history.Create: "task.created", history.Update: "task.updated", history.Complete: "task.completed",
		history.Reopen: "task.reopened", history.Delete: "task.deleted",
	}
	s := b.state[c.TaskID]
	if s == nil {
		s = &history.Task{ID: c.TaskID}
		b.state[c.TaskID] = s
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
	n := int64(len(b.Events) + 1)
	e := history.Event{
		Pos: 2 * n, Seq: n, ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, n)).String(), Type: types[c.Operation],
		Task: *s, UserID: c.User, At: c.Began.Add(10*time.Millisecond + 123*time.Microsecond),
	}
	b.Events = append(b.Events, e)
	if c.Key != "" {
		b.Keys = append(b.Keys, history.Key{Key: fmt.Sprintf("%d %s", c.User, c.Key), EventID: e.ID, TaskID: e.Task.ID})
	}
	if c.Operation == history.Delete {
		delete(b.state, c.TaskID)
	}
}

// readLists adds a read of each user.
func (b *historyBuilder) readLists() {
	for _, user := range users {
		r := history.ListRead{Began: b.now.Add(100 * time.Millisecond), Ended: b.now.Add(120 * time.Millisecond), User: user, Replica: 1, CacheStatus: "hit", Versions: map[int64]int64{}}
		for id := int64(1); id <= hotTasks; id++ {
			if s := b.state[id]; s != nil && ownerOf(id) == user {
				r.Versions[id] = s.Version
			}
		}
		b.Reads = append(b.Reads, r)
	}
}

// makeFailedCalls adds calls that were refused or have no outcome. Some of these took effect.
func (b *historyBuilder) makeFailedCalls() {
	refused := b.startCall(history.Create, 0)
	refused.Outcome, refused.Status = history.Refused, "503"
	missing := b.startCall(history.Delete, 3)
	missing.Outcome, missing.Status = history.Refused, "404"
	for i, op := range []history.Operation{history.Create, history.Create, history.Update, history.Update} {
		c := b.startCall(op, 5)
		if op == history.Create {
			c.TaskID = int64(tasks + 1 + i)
		}
		c.Outcome = history.Unknown
		if i%2 == 0 {
			b.commit(c)
			c.Version, c.Done = 0, false
		}
		if op == history.Create {
			c.TaskID = 0
		}
	}
}

// publishEvents adds the events' records. They wait while the relay is frozen or Kafka is down.
func (b *historyBuilder) publishEvents(t testing.TB) {
	for _, id := range slices.Sorted(maps.Keys(b.state)) {
		b.Tasks = append(b.Tasks, *b.state[id])
	}
	last := runStart
	for i := range b.Events {
		e := &b.Events[i]
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
		b.appendRecord(e, t, at)
		if i%50 == 0 {
			b.appendRecord(e, t, at) // repeated after a takeover
		}
	}
}

func (b *historyBuilder) appendRecord(e *history.Event, t testing.TB, at time.Time) *history.Record {
	value, err := json.Marshal(map[string]any{
		"id": e.ID, "type": e.Type, "task_id": e.Task.ID, "task_title": e.Title, "timestamp": e.At, "user_id": e.UserID,
		"task": map[string]any{"id": e.Task.ID, "title": e.Title, "priority": e.Priority, "done": e.Done, "version": e.Version},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Topic = append(b.Topic, history.Record{
		Position: history.Position{Partition: int32(e.Task.ID % partitions)}, Key: fmt.Appendf(nil, "task-%d", e.Task.ID), Value: value, Time: at,
		Headers: []history.Header{{Key: "event-type", Value: e.Type}, {Key: "event-id", Value: e.ID}},
	})
	return &b.Topic[len(b.Topic)-1]
}
