package checker

import (
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// Judge compares the facts of a run with what was promised.
func Judge(run *history.Run) Verdict {
	f := newIndex(run)
	v := Verdict{
		Seed: run.Seed, RequestedChanges: run.Changes, Changes: len(run.Events),
		Began: run.StartedAt, Duration: run.EndedAt.Sub(run.StartedAt).Round(time.Second).String(),
		TotalDuration: run.CollectedAt.Sub(run.StartedAt).Round(time.Second).String(),
		Passed:        true, Faults: summarizeFaults(run.Faults), Failpoints: summarizeFailpoints(run.Crashes),
	}
	for _, judge := range []func(*index) Check{
		checkWorkload, checkClientHistory, checkTaskHistory, checkEvents, checkOrder, // what was changed, and announced
		checkStats, checkNotifications, checkDuplicateDeliveries, checkDeliveryOrder, checkDeadLetters, // its effects
		checkCache, checkFreeze, checkOutage, checkBacklog, checkFailover, checkProcessExits, // while it happened
		checkReplay,                               // everything once more
		checkFaults, checkFailpoints, checkPoison, // what the run set out to do
	} {
		row := judge(f)
		v.Passed = v.Passed && row.OK
		v.Checks = append(v.Checks, row)
	}
	return v
}
