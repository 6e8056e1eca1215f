package checker

import (
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// Judge compares the facts of a run with what was promised.
func Judge(run *history.Run) Verdict {
	f := gather(run)
	v := Verdict{
		Seed: run.Seed, Asked: run.Changes, Changes: len(run.Events),
		Began: run.Began, Duration: run.Ended.Sub(run.Began).Round(time.Second).String(),
		Took:   run.Complete.Sub(run.Began).Round(time.Second).String(),
		Passed: true, Faults: tallies(run.Faults), Points: points(run.Crashes),
	}
	for _, judge := range []func(*facts) Row{
		workload, journal, taskHistory, events, order, // what was changed, and announced
		statistics, notifications, plainSink, providerOrder, deadLetters, // its effects
		cache, freeze, outage, backlog, failover, deaths, // while it happened
		again,                          // everything once more
		faults, crashPoints, poisonRow, // what the run set out to do
	} {
		row := judge(f)
		v.Passed = v.Passed && row.OK
		v.Rows = append(v.Rows, row)
	}
	return v
}
