package checker_test

import (
	"slices"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// readWithHealthyCache returns a read of the list with task 2, without a fault of the cache's Redis.
func readWithHealthyCache(t *testing.T, run *history.Run) *history.ListRead {
	t.Helper()
	return findFirst(t, run.Reads, func(r *history.ListRead) bool {
		return r.Versions[2] > 0 && r.Began.After(atSecond(100)) && r.Ended.Before(atSecond(150))
	})
}

var cacheCorruptions = map[string]corruption{
	"a list showed a stale version": {"cache", func(t *testing.T, run *history.Run) { readWithHealthyCache(t, run).Versions[2]-- }},
	"a list lacked a task":          {"cache", func(t *testing.T, run *history.Run) { delete(readWithHealthyCache(t, run).Versions, 2) }},
	"a list showed a deleted task": {"cache", func(t *testing.T, run *history.Run) {
		id := findCall(t, run, history.Delete, history.Done).TaskID
		for i := range run.Reads { // it was in all lists before
			if run.Reads[i].User == ownerOf(id) {
				run.Reads[i].Versions[id] = 6
			}
		}
		last := history.ListRead{Began: run.EndedAt, Ended: run.EndedAt.Add(time.Second), User: ownerOf(id), Versions: map[int64]int64{id: 5}}
		for hot := int64(1); hot <= hotTasks; hot++ {
			if ownerOf(hot) == last.User {
				last.Versions[hot] = 6
			}
		}
		run.Reads = append(run.Reads, last)
	}},
	"no list was read": {"cache", func(_ *testing.T, run *history.Run) { run.Reads = nil }},
	"the cache was always faulted": {"cache", func(_ *testing.T, run *history.Run) {
		for _, from := range []time.Time{runStart, atSecond(145)} {
			run.Faults = append(run.Faults, history.Fault{Kind: "cut", Target: "redis-cache", Began: from, Ended: from.Add(100 * time.Second), Requests: 1})
		}
	}},
}

// delayRecords sets the time of all records between from and to.
func delayRecords(run *history.Run, from, to, until time.Time) {
	for i := range run.Topic {
		if r := &run.Topic[i]; r.Time.After(from) && r.Time.Before(to) {
			r.Time = until
		}
	}
}

// changeCallsAfterFailover changes the calls that the failover check judges.
func changeCallsAfterFailover(run *history.Run, spoil func(*history.Call)) {
	for i := range run.Calls {
		if c := &run.Calls[i]; c.Began.After(atSecond(109)) && c.Began.Before(atSecond(120)) {
			spoil(c)
		}
	}
}

var faultCorruptions = map[string]corruption{
	"no replica took over from a frozen one": {"freeze", func(_ *testing.T, run *history.Run) { delayRecords(run, atSecond(40), atSecond(61), atSecond(62)) }},
	"no call succeeded during the freeze": {"freeze", func(_ *testing.T, run *history.Run) {
		run.Faults[1].Began, run.Faults[1].Ended = runStart.Add(-time.Minute), runStart
	}},
	"a write had no response while Kafka was down": {"outage", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Began.After(atSecond(125)) && c.Operation == history.Complete })
		c.Outcome, c.Version, c.Status = history.Unknown, 0, "context deadline exceeded"
	}},
	"a write was refused because Kafka was down": {"outage", func(t *testing.T, run *history.Run) {
		c := findFirst(t, run.Calls, func(c *history.Call) bool { return c.Operation == history.Delete && c.Outcome == history.Refused })
		c.Began, c.Ended, c.Status = atSecond(125), atSecond(126), "503"
	}},
	"memory grew while Kafka was down": {"outage", func(_ *testing.T, run *history.Run) {
		for i := range run.Memory {
			run.Memory[i].Resident += int64(i) << 23
		}
	}},
	"memory of the replica without a fault grew while Kafka was down": {"outage", func(_ *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "kill", Target: "todo-service-2", Began: atSecond(118), Ended: atSecond(118.2), Requests: 1})
		for i := range run.Memory {
			run.Memory[i].Resident += int64(i) << 23
		}
	}},
	"memory grew long after a replica was killed": {"outage", func(_ *testing.T, run *history.Run) {
		run.Faults = append(run.Faults, history.Fault{Kind: "kill", Target: "todo-service-2", Began: atSecond(110), Ended: atSecond(110.2), Requests: 1})
		for i := range run.Memory {
			if run.Memory[i].Target == "todo-service-2" {
				run.Memory[i].Resident += int64(i) << 23
			}
		}
	}},
	"there are no memory samples": {"outage", func(_ *testing.T, run *history.Run) { run.Memory = nil }},
	"no event waited for Kafka": {"backlog", func(_ *testing.T, run *history.Run) {
		delayRecords(run, atSecond(140), atSecond(141), atSecond(121))
	}},
	"the topic keeps its producers' timestamps": {"freeze backlog", func(t *testing.T, run *history.Run) {
		for _, e := range run.Events {
			recordOf(t, run, e.ID).Time = e.At.Truncate(time.Millisecond)
		}
	}},
	"writes needed two attempts after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		changeCallsAfterFailover(run, func(c *history.Call) { c.Tries = 2 })
	}},
	"writes had no response after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		changeCallsAfterFailover(run, func(c *history.Call) { c.Outcome, c.Version = history.Unknown, 0 })
	}},
	"one replica takes no writes after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		changeCallsAfterFailover(run, func(c *history.Call) { c.Replica = 1 })
	}},
	"a replica was ready while no server took writes": {"failover", func(_ *testing.T, run *history.Run) { run.Faults[5].ReadyDuringFailover = []string{"todo-service-1"} }},
	"no write started after a failover": {"failover", func(_ *testing.T, run *history.Run) {
		run.Faults[5].Began, run.Faults[5].Ended = runStart.Add(-time.Minute), runStart.Add(-50*time.Second)
	}},
	"a service ended by itself": {"process-exits", func(_ *testing.T, run *history.Run) {
		run.Exits = append(run.Exits, history.ProcessExit{Target: "stats-service-1", At: atSecond(30), Status: "exit status 1"})
	}},
	"a service was killed without a request": {"process-exits", func(_ *testing.T, run *history.Run) {
		run.Exits = append(run.Exits, history.ProcessExit{Target: "todo-service-1", At: atSecond(30), Status: "signal: killed"})
	}},
	"poison caused more crashes than allowed": {"process-exits", func(_ *testing.T, run *history.Run) {
		for range 5 {
			run.Exits = append(run.Exits, history.ProcessExit{Target: "stats-service-2", At: atSecond(230), Status: "signal: killed"})
		}
		run.Replay.DLQ = slices.DeleteFunc(run.Replay.DLQ, func(r history.Record) bool {
			return r.Header("replay-group") != "" && r.Header("planted") == "kill"
		})
		run.DLQ, run.Replay.DLQ = withoutRepeatedLetters(run.DLQ), withoutRepeatedLetters(run.Replay.DLQ)
	}},
}

// withoutRepeatedLetters drops the repeated letters of the correct history.
func withoutRepeatedLetters(letters []history.Record) []history.Record {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(letters), func(r history.Record) bool {
		id := r.Header("consumer-group") + r.Header("original-offset") + r.Header("replay-group")
		defer func() { seen[id] = true }()
		return seen[id]
	})
}

var replayCorruptions = map[string]corruption{
	"nothing was replayed":          {"replay", func(_ *testing.T, run *history.Run) { run.Replay = history.Replay{} }},
	"the replay caused a delivery":  {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Deliveries = run.Deliveries[:1] }},
	"the replay was counted":        {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Stats[0].Total++ }},
	"the replay made an event":      {"replay", func(_ *testing.T, run *history.Run) { run.Replay.Events++ }},
	"the replay had another effect": {"replay", func(_ *testing.T, run *history.Run) { run.Replay.OtherEffects = []string{"a key"} }},
	"the replay lost a dead letter": {"replay", func(_ *testing.T, run *history.Run) { run.Replay.DLQ = run.Replay.DLQ[1:] }},
	"no dead letter was replayed":   {"replay", func(_ *testing.T, run *history.Run) { run.Replay.DLQ = run.DLQ }},
	"the replay made a new dead letter": {"replay", func(_ *testing.T, run *history.Run) {
		setHeader(last(run.Replay.DLQ), "replay-group", "")
		setHeader(last(run.Replay.DLQ), "original-offset", "0")
	}},
	"a replay went to another group":                {"replay", func(_ *testing.T, run *history.Run) { setHeader(last(run.Replay.DLQ), "replay-group", "another") }},
	"a valid record was dead-lettered and replayed": {"replay", func(_ *testing.T, run *history.Run) { last(run.Replay.DLQ).Value = []byte("good") }},
}

func last[T any](all []T) *T { return &all[len(all)-1] }

var coverageCorruptions = map[string]corruption{
	"fewer changes were committed than requested": {"workload", func(_ *testing.T, run *history.Run) { run.Changes = len(run.Events) + 1 }},
	"one replica answered every call": {"workload failover versions", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Replica = 1
		}
	}},
	"one replica answered almost every call": {"workload failover", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Replica = min(1, i/230)
		}
	}},
	"one transport had every call": {"workload", func(_ *testing.T, run *history.Run) {
		for i := range run.Calls {
			run.Calls[i].Transport = "grpc"
		}
	}},
	"a fault did not happen": {"faults", func(_ *testing.T, run *history.Run) { run.Faults = slices.Delete(run.Faults, 3, 4) }},
	"a fault met no work":    {"faults", func(_ *testing.T, run *history.Run) { run.Faults[3].Requests, run.Faults[3].Backlog = 0, 0 }},
	"a fault was too short":  {"faults", func(_ *testing.T, run *history.Run) { run.Expected.Faults[1].MinDuration *= 2 }},
	"the scenario expects nothing": {"faults", func(_ *testing.T, run *history.Run) {
		run.Expected = history.Expected{CopyFraction: 0.1, Replay: true}
	}},
	"a failpoint has too few hits": {"failpoints", func(_ *testing.T, run *history.Run) { run.Expected.HitsPerFailpoint = 4 }},
	"a failpoint was hit twice with the same work in flight": {"failpoints", func(_ *testing.T, run *history.Run) {
		run.Crashes[1].InFlight = run.Crashes[0].InFlight
	}},
	"a failpoint was never hit": {"failpoints", func(_ *testing.T, run *history.Run) {
		run.Expected.Failpoints = append(run.Expected.Failpoints, "before_effect")
	}},
	"a kind of poison was not written": {"poison", func(_ *testing.T, run *history.Run) {
		run.Expected.Poison = append(run.Expected.Poison, "bad utf-8")
	}},
	"too few copies": {"poison", func(_ *testing.T, run *history.Run) { run.Expected.CopyFraction = 0.2 }},
	"poison is not at its position": {"poison", func(_ *testing.T, run *history.Run) {
		run.Poison = append(run.Poison, history.InjectedRecord{Kind: "null", Position: history.Position{Partition: 1, Offset: 12345}, Key: []byte("task-0")})
	}},
}
