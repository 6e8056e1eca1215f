package checker_test

import (
	"slices"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// quietRead returns a reading while the cache's Redis was well.
func quietRead(t *testing.T, run *history.Run) *history.ListRead {
	t.Helper()
	return find(t, run.Reads, func(r *history.ListRead) bool { return r.Began.After(sec(100)) && r.Ended.Before(sec(150)) })
}

var inTheCache = map[string]corruption{
	"a list showed an old version": {"cache", func(t *testing.T, run *history.Run) { quietRead(t, run).Versions[2]-- }},
	"a list lacked a task":         {"cache", func(t *testing.T, run *history.Run) { delete(quietRead(t, run).Versions, 2) }},
	"a list showed a deleted task": {"cache", func(t *testing.T, run *history.Run) {
		id := call(t, run, history.Delete, history.Done).TaskID
		run.Reads[0].Versions[id] = 1
		run.Reads = append(run.Reads, history.ListRead{Began: run.EndedAt, Ended: run.EndedAt.Add(time.Second), Versions: map[int64]int64{id: 5, 1: 6, 2: 6, 3: 6}})
		for i := range run.Reads { // it was in all lists before
			if i > 0 && i < len(run.Reads)-1 {
				run.Reads[i].Versions[id] = 6
			}
		}
	}},
	"nobody read a list": {"cache", func(_ *testing.T, run *history.Run) { run.Reads = nil }},
	"the cache was never well": {"cache", func(_ *testing.T, run *history.Run) {
		for _, from := range []time.Time{start, sec(145)} {
			run.Faults = append(run.Faults, history.Fault{Kind: "cut", Target: "redis-cache", Began: from, Ended: from.Add(100 * time.Second), Requests: 1})
		}
	}},
}

// late moves the first record of every event of a stretch of time, and all after it
// of its partition, behind a time.
func late(run *history.Run, from, to, until time.Time) {
	for i := range run.Topic {
		if r := &run.Topic[i]; r.Time.After(from) && r.Time.Before(to) {
			r.Time = until
		}
	}
}

// soonAfterFailover spoils the calls of the time in which they are judged.
func soonAfterFailover(run *history.Run, spoil func(*history.Call)) {
	for i := range run.Calls {
		if c := &run.Calls[i]; c.Began.After(sec(109)) && c.Began.Before(sec(120)) {
			spoil(c)
		}
	}
}

var whileAway = map[string]corruption{
	"nobody took over from a frozen replica": {"freeze", func(_ *testing.T, run *history.Run) { late(run, sec(40), sec(61), sec(62)) }},
	"nothing was answered during the freeze": {"freeze", func(_ *testing.T, run *history.Run) {
		run.Faults[1].Began, run.Faults[1].Ended = start.Add(-time.Minute), start
	}},
	"a write was not answered while Kafka was away": {"outage", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Began.After(sec(125)) && c.Operation == history.Complete })
		c.Outcome, c.Version, c.Status = history.Unknown, 0, "context deadline exceeded"
	}},
	"a write was refused for Kafka's sake": {"outage", func(t *testing.T, run *history.Run) {
		c := find(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Delete && c.Outcome == history.Refused })
		c.Began, c.Ended, c.Status = sec(125), sec(126), "503"
	}},
	"memory grew while Kafka was away": {"outage", func(_ *testing.T, run *history.Run) {
		for i := range run.Memory {
			run.Memory[i].Resident += int64(i) << 23
		}
	}},
	"nobody looked at the memory": {"outage", func(_ *testing.T, run *history.Run) { run.Memory = nil }},
	"nothing waited for Kafka": {"backlog", func(_ *testing.T, run *history.Run) {
		late(run, sec(140), sec(141), sec(121))
	}},
	"the topic keeps its producers' times": {"freeze backlog", func(t *testing.T, run *history.Run) {
		for _, e := range run.Events {
			sentAs(t, run, e.ID).Time = e.At.Truncate(time.Millisecond)
		}
	}},
	"writes were tried twice after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		soonAfterFailover(run, func(c *history.Call) { c.Tries = 2 })
	}},
	"writes had no answer after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		soonAfterFailover(run, func(c *history.Call) { c.Outcome, c.Version = history.Unknown, 0 })
	}},
	"one replica takes no writes after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		soonAfterFailover(run, func(c *history.Call) { c.Replica = 1 })
	}},
	"a replica was ready while no server took writes": {"failover", func(_ *testing.T, run *history.Run) { run.Faults[5].ReadyDuringFailover = []string{"todo-service-1"} }},
	"nothing was written after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		run.Faults[5].Began, run.Faults[5].Ended = start.Add(-time.Minute), start.Add(-50*time.Second)
	}},
	"a service ended by itself": {"process-exits", func(_ *testing.T, run *history.Run) {
		run.Exits = append(run.Exits, history.ProcessExit{Target: "stats-service-1", At: sec(30), Status: "exit status 1"})
	}},
	"a service was killed by nobody": {"process-exits", func(_ *testing.T, run *history.Run) {
		run.Exits = append(run.Exits, history.ProcessExit{Target: "todo-service-1", At: sec(30), Status: "signal: killed"})
	}},
	"poison killed more often than it may": {"process-exits", func(_ *testing.T, run *history.Run) {
		for range 5 {
			run.Exits = append(run.Exits, history.ProcessExit{Target: "stats-service-2", At: sec(230), Status: "signal: killed"})
		}
		run.Replay.DLQ = slices.DeleteFunc(run.Replay.DLQ, func(r history.Record) bool {
			return r.Header("replay-group") != "" && r.Header("planted") == "kill"
		})
		run.DLQ, run.Replay.DLQ = once(run.DLQ), once(run.Replay.DLQ)
	}},
}

// once drops the repeated letters of the good run.
func once(letters []history.Record) []history.Record {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(letters), func(r history.Record) bool {
		id := r.Header("consumer-group") + r.Header("original-offset") + r.Header("replay-group")
		defer func() { seen[id] = true }()
		return seen[id]
	})
}

var onceMore = map[string]corruption{
	"nothing was replayed":          {"replay", func(_ *testing.T, run *history.Run) { run.Replay = history.Replay{} }},
	"the replay notified again":     {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Deliveries = run.Deliveries[:1] }},
	"the replay was counted":        {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Stats[0].Total++ }},
	"the replay made an event":      {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Events++ }},
	"the replay did something else": {"replay", func(_ *testing.T, run *history.Run) { run.Replay.OtherEffects = []string{"a key"} }},
	"the replay lost a dead letter": {"replay", func(_ *testing.T, run *history.Run) { run.Replay.DLQ = run.Replay.DLQ[1:] }},
	"no dead letter was replayed":   {"replay", func(_ *testing.T, run *history.Run) { run.Replay.DLQ = run.DLQ }},
	"the replay made a new dead letter": {"replay", func(_ *testing.T, run *history.Run) {
		setHeader(last(run.Replay.DLQ), "replay-group", "")
		setHeader(last(run.Replay.DLQ), "original-offset", "0")
	}},
	"a replay went to another group":      {"replay", func(_ *testing.T, run *history.Run) { setHeader(last(run.Replay.DLQ), "replay-group", "another") }},
	"a good record was replayed to death": {"replay", func(_ *testing.T, run *history.Run) { last(run.Replay.DLQ).Value = []byte("good") }},
}

func last[T any](all []T) *T { return &all[len(all)-1] }

var inTheRun = map[string]corruption{
	"less was asked for than wanted": {"workload", func(_ *testing.T, run *history.Run) { run.Changes = len(run.Events) + 1 }},
	"one replica did everything": {"workload failover", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Replica = 1
		}
	}},
	"one replica did almost everything": {"workload failover", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Replica = 1 + min(1, i/230)
		}
	}},
	"one transport did everything": {"workload", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Transport = "grpc"
		}
	}},
	"a fault did not happen":    {"faults", func(_ *testing.T, run *history.Run) { run.Faults = slices.Delete(run.Faults, 3, 4) }},
	"a fault met no work":       {"faults", func(_ *testing.T, run *history.Run) { run.Faults[3].Requests, run.Faults[3].Backlog = 0, 0 }},
	"a fault was over too soon": {"faults", func(_ *testing.T, run *history.Run) { run.Expected.Faults[1].MinDuration *= 2 }},
	"nothing was to happen": {"faults", func(_ *testing.T, run *history.Run) {
		run.Expected = history.Expected{CopyFraction: 0.1, Replay: true}
	}},
	"a place was reached too seldom": {"failpoints", func(_ *testing.T, run *history.Run) { run.Expected.HitsPerFailpoint = 4 }},
	"a place was reached with the same in hand": {"failpoints", func(_ *testing.T, run *history.Run) {
		run.Crashes[1].InFlight = run.Crashes[0].InFlight
	}},
	"a place was never reached": {"failpoints", func(_ *testing.T, run *history.Run) {
		run.Expected.Failpoints = append(run.Expected.Failpoints, "before_effect")
	}},
	"a kind of poison was not planted": {"poison", func(_ *testing.T, run *history.Run) {
		run.Expected.Poison = append(run.Expected.Poison, "bad utf-8")
	}},
	"too few copies": {"poison", func(_ *testing.T, run *history.Run) { run.Expected.CopyFraction = 0.2 }},
	"poison is not where it was planted": {"poison", func(_ *testing.T, run *history.Run) {
		run.Poison = append(run.Poison, history.InjectedRecord{Kind: "null", Partition: 1, Offset: 12345, Key: []byte("task-0"), Groups: []string{"stats-service"}})
	}},
}
