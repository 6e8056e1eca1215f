package checker_test

import (
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// excusedDeviations look like broken promises, and each leaves all checks green.
var excusedDeviations = map[string]corruption{
	"nothing": {"", func(*testing.T, *history.Run) {}},
	"a user signed in during a flush of Redis": {"", func(t *testing.T, run *history.Run) {
		findFirst(t, run.SignIns, func(s *history.SignIn) bool { return s.User == users[1] && s.Began.After(atSecond(150)) }).Began = atSecond(149.9)
	}},
	"copies were read after a flush of Redis": {"", func(t *testing.T, run *history.Run) {
		// The flush itself excuses the first duplicate in that partition.
		for _, d := range append(deliveriesBeforeFlush(t, run, 1, false), deliveriesBeforeFlush(t, run, 1, true)...) {
			deliverAgain(run, d, atSecond(156))
		}
	}},
	"a consumer died before its commit, and Redis was flushed": {"", func(t *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "kill", Target: "notification-service-1", Began: atSecond(149), Ended: atSecond(149.1), Requests: 1})
		for _, d := range deliveriesBeforeFlush(t, run, 3, false) {
			if d.At.After(atSecond(145)) {
				deliverAgain(run, d, atSecond(156))
			}
		}
	}},
	"one duplicate in each partition after one freeze": {"", func(t *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "freeze", Target: "notification-service-2", Began: atSecond(75), Ended: atSecond(90), Requests: 1})
		for partition := range int64(partitions) {
			d := findFirst(t, run.Deliveries, func(d *history.Delivery) bool {
				return d.Status == 200 && d.TaskID%partitions == partition && d.At.After(atSecond(80))
			})
			deliverAgain(run, *d, atSecond(89))
		}
	}},
	"a creation was retried at the other replica": {"", func(t *testing.T, run *history.Run) {
		c := findCall(t, run, history.Create, history.Done)
		c.Tries, c.Ended = 9, c.Began.Add(time.Minute)
	}},
	"a client canceled while Kafka was down": {"", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Began.After(atSecond(125)) && c.Operation == history.Complete })
		c.Outcome, c.Version, c.ClientCanceled = history.Unknown, 0, true
	}},
	"a replica that was killed just before an outage of Kafka grew": {"", func(_ *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "kill", Target: "todo-service-2", Began: atSecond(118), Ended: atSecond(118.2), Requests: 1})
		for i := range run.Memory {
			if run.Memory[i].Target == "todo-service-2" {
				run.Memory[i].Resident += int64(i) << 23
			}
		}
	}},
	"a list was stale while the cache's Redis was stalled": {"", func(t *testing.T, run *history.Run) {
		r := findFirst(t, run.Reads, func(r *history.ListRead) bool {
			return r.Versions[2] > 0 && r.Began.After(atSecond(160)) && r.Ended.Before(atSecond(165))
		})
		r.Versions[2]--
	}},
	"a list lacked a task that a client was deleting": {"", func(t *testing.T, run *history.Run) {
		last := findFirst(t, run.Reads, func(r *history.ListRead) bool { return r.Versions[2] > 0 && r.Began.After(atSecond(185)) })
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Delete && c.Outcome == history.Refused })
		c.TaskID, c.Began, c.Outcome = 2, last.Began.Add(-time.Second), history.Unknown
		delete(last.Versions, 2)
	}},
	"a list did not show the change of a call without a response yet": {"", func(t *testing.T, run *history.Run) {
		made := findFirst(t, run.Calls, func(c *history.Call) bool { return c.TaskID == 2 && c.Operation == history.Reopen })
		observer := *made // it changed nothing and was shown the same version
		observer.Number = 9999
		made.Ended = made.Began.Add(20 * time.Second)
		run.Calls = append(run.Calls, observer)
		for i := range run.Reads {
			if r := &run.Reads[i]; r.Versions[2] > 0 && r.Began.After(observer.Ended) && r.Began.Before(made.Ended) {
				r.Versions[2] = made.Version - 1
			}
		}
	}},
	"poison was written twice after a lost response": {"", func(_ *testing.T, run *history.Run) {
		p := run.Poison[0]
		r := history.Record{Position: history.Position{Partition: 2, Offset: 9999}, Key: p.Key, Value: p.Value, Time: run.EndedAt}
		run.Topic = append(run.Topic, r)
		p.Position = r.Position
		for _, group := range history.Groups {
			l := (&historyBuilder{}).deadLetter(p, group)
			l.Headers, l.Offset = l.Headers[1:], 500
			run.DLQ, run.Replay.DLQ = append(run.DLQ, l), append(run.Replay.DLQ, l)
		}
	}},
}
