package checker

import (
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// Judge runs all checks on the history of a run.
func Judge(run *history.Run) Verdict {
	ix := newIndex(run)
	v := Verdict{
		Seed: run.Seed, RequestedChanges: run.Changes, Changes: len(run.Events),
		Began: run.StartedAt, Duration: run.EndedAt.Sub(run.StartedAt).Round(time.Second).String(),
		TotalDuration: run.CollectedAt.Sub(run.StartedAt).Round(time.Second).String(),
		Passed:        true, Faults: summarizeFaults(run.Faults), Failpoints: summarizeFailpoints(run.Crashes),
	}
	for _, judge := range []func(*index) Check{
		checkWorkload, checkClientHistory, checkTaskHistory, checkEvents, checkOrder, // what clients changed, and its events
		checkStats, checkNotifications, checkDuplicateDeliveries, checkDeliveryOrder, checkDeadLetters, // effects of the events
		checkCache, checkFreeze, checkOutage, checkBacklog, checkFailover, checkProcessExits, // behaviour during faults
		checkReplay,                               // effects of a full replay
		checkFaults, checkFailpoints, checkPoison, // coverage of the run itself
	} {
		row := judge(ix)
		v.Passed = v.Passed && row.OK
		v.Checks = append(v.Checks, row)
	}
	return v
}
