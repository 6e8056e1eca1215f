package checker

import (
	"fmt"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// checks are the rows of the verdict, in their order. A check adds the violations that it finds,
// and returns its figure.
var checks = []struct {
	name, promise string
	judge         func(*index, *violations) (figure string)
}{
	// What clients changed, and its events.
	{"workload", "the workload has every kind of change, over both transports, on both replicas", checkWorkload},
	{"client-history", "an acknowledged change has one event, a refused change none, and there is no other event",
		checkClientHistory},
	{"task-history", "each change has one event, and the tasks are what the events say", checkTaskHistory},
	{"events", "every committed change has its event in the topic, and nothing else is there", checkEvents},
	{"order", "records of a task keep the order of its versions, by first occurrence", checkOrder},
	{"owners", "no client ever sees another user's task, and nothing of a user is stored, sent or counted for another", checkOwners},
	// Effects of the events.
	{"stats", "GET /stats equals SQL over the events, by day and in total, also after a flush of Redis", checkStats},
	{"notifications", "a receiver that honours the key gets exactly 1 notification per completion", checkNotifications},
	{"duplicate-deliveries",
		"a receiver without deduplication gets at most 1 duplicate per held partition and crash or freeze",
		checkDuplicateDeliveries},
	{"delivery-order", "deliveries of a task keep the order of its events, by first occurrence", checkDeliveryOrder},
	{"dead-letters",
		"the dead letters are exactly the poison, once per group and byte for byte; no transient failure is dead-lettered",
		checkDeadLetters},
	// Behaviour during faults.
	{"cache", "a list is never older than what was acknowledged before it was requested", checkCache},
	{"freeze", "when a replica of todo-service is frozen, the other relays within 20 s", checkFreeze},
	{"outage", "writes succeed while Kafka is down, and memory stays flat", checkOutage},
	{"backlog", "after an outage of Kafka the backlog drains in order", checkBacklog},
	{"failover", "after a failover both replicas take writes again within 4 s, and none is ready before", checkFailover},
	{"process-exits", "no service ends by itself", checkProcessExits},
	{"server-errors", "while two versions run side by side, and one is replaced by the other, no response is a 5xx", checkServerErrors},
	{"versions", "the released version and the working tree share the work, replica by replica as the scenario says", checkVersions},
	// Effects of a full replay.
	{"replay", "replaying the topic from its beginning, and the dead letters twice, changes nothing", checkReplay},
	// Coverage of the run itself.
	{"faults", "every kind of fault happens, with work in flight", checkFaults},
	{"failpoints", "processes die at every failpoint, each time with other work in flight", checkFailpoints},
	{"poison", "poison of every kind and copies of events are written", checkPoison},
}

// Judge runs all checks on the history of a run.
func Judge(run *history.Run) Verdict {
	ix := newIndex(run)
	v := Verdict{
		Seed: run.Seed, RequestedChanges: run.Changes, Changes: len(run.Events),
		Began: run.StartedAt, Duration: run.EndedAt.Sub(run.StartedAt).Round(time.Second).String(),
		TotalDuration: run.CollectedAt.Sub(run.StartedAt).Round(time.Second).String(),
		Passed:        true,
		Faults:        sortedValues(summarizeFaults(run.Faults)),
		Failpoints:    sortedValues(summarizeFailpoints(run.Crashes)),
	}
	for _, check := range checks {
		var found violations
		figure := check.judge(ix, &found)
		v.Passed = v.Passed && found.total == 0
		v.Checks = append(v.Checks, Check{
			Name: check.name, Promise: check.promise, Figure: figure, OK: found.total == 0, Details: found.details(),
		})
	}
	return v
}

// maxDetails is how many violations a check shows.
const maxDetails = 8

// violations collects the violations of one check.
type violations struct {
	total int
	first []string
}

func (f *violations) add(format string, args ...any) {
	f.total++
	if len(f.first) < maxDetails {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

func (f *violations) details() []string {
	if more := f.total - len(f.first); more > 0 {
		return append(f.first, sprintf("and %d more", more))
	}
	return f.first
}
