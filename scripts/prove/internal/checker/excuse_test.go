package checker_test

import (
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/history"
)

// What looks like a broken promise and is none: each of these leaves every row green.
var excused = map[string]func(*testing.T, *history.Run){
	"copies that were read after the state was flushed": func(t *testing.T, run *history.Run) {
		// The flush itself excuses the first, in that partition.
		for _, d := range append(afterFlush(t, run, 1, false), afterFlush(t, run, 1, true)...) {
			checkReplay(run, d, sec(156))
		}
	},
	"a reader died before its offset was stored, and the state was flushed": func(t *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "kill", Target: "notification-service-1", Began: sec(149), Ended: sec(149.1), Requests: 1})
		for _, d := range afterFlush(t, run, 3, false) {
			if d.At.After(sec(145)) {
				checkReplay(run, d, sec(156))
			}
		}
	},
	"one of each partition came twice, for one frozen reader": func(t *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "freeze", Target: "notification-service-2", Began: sec(75), Ended: sec(90), Requests: 1})
		for partition := range int64(partitions) {
			d := find(t, run.Deliveries, func(d *history.Delivery) bool {
				return d.Status == 200 && d.TaskID%partitions == partition && d.At.After(sec(80))
			})
			checkReplay(run, *d, sec(89))
		}
	},
	"a creation was tried again at the other replica": func(t *testing.T, run *history.Run) {
		c := call(t, run, history.Create, history.Done)
		c.Tries, c.Ended = 9, c.Began.Add(time.Minute)
	},
	"a client hung up while Kafka was away": func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Began.After(sec(125)) && c.Operation == history.Complete })
		c.Outcome, c.Version, c.ClientCanceled = history.Unknown, 0, true
	},
	"a list was old while the cache's Redis was stalled": func(t *testing.T, run *history.Run) {
		r := find(t, run.Reads, func(r *history.ListRead) bool { return r.Began.After(sec(160)) && r.Ended.Before(sec(165)) })
		r.Versions[2]--
	},
	"a list lacked a task that somebody was deleting": func(t *testing.T, run *history.Run) {
		last := find(t, run.Reads, func(r *history.ListRead) bool { return r.Began.After(sec(185)) })
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Delete && c.Outcome == history.Refused })
		c.TaskID, c.Began, c.Outcome = 2, last.Began.Add(-time.Second), history.Unknown
		delete(last.Versions, 2)
	},
	"a list did not show what another call, not answered yet, had changed": func(t *testing.T, run *history.Run) {
		made := find(t, run.Calls, func(c *history.Call) bool { return c.TaskID == 2 && c.Operation == history.Reopen })
		found := *made // was told of the same version, by changing nothing
		found.Number = 9999
		made.Ended = made.Began.Add(20 * time.Second)
		run.Calls = append(run.Calls, found)
		for i := range run.Reads {
			if r := &run.Reads[i]; r.Began.After(found.Ended) && r.Began.Before(made.Ended) {
				r.Versions[2] = made.Version - 1
			}
		}
	},
	"poison whose answer was lost is there twice": func(_ *testing.T, run *history.Run) {
		p := run.Poison[0]
		r := history.Record{Partition: 2, Offset: 9999, Key: p.Key, Value: p.Value, Time: run.EndedAt}
		run.Topic = append(run.Topic, r)
		p.Partition, p.Offset = r.Partition, r.Offset
		for _, group := range p.Groups {
			l := (&world{}).letter(p, group)
			l.Headers, l.Offset = l.Headers[1:], 500
			run.DLQ, run.Replay.DLQ = append(run.DLQ, l), append(run.Replay.DLQ, l)
		}
	},
}

func TestWhatIsNoBrokenPromiseIsGreen(t *testing.T) {
	t.Parallel()
	for name, change := range excused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := goodRun(t)
			change(t, run)
			if v := checker.Judge(run); !v.OK() {
				t.Errorf("red:\n%s", table(t, v))
			}
		})
	}
}
