package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	failoverRecoveryTime = 4 * time.Second  // after a failover, before writes have to be answered as ever
	failoverJudgedTime   = 10 * time.Second // from then on
)

// checkFailover judges the writes that began soon after the database had moved to another
// server, and whether anybody was ready before.
func checkFailover(f *index) Check {
	var bad violations
	moves, judged := 0, 0
	for _, move := range f.Faults {
		if move.Kind != "failover" {
			continue
		}
		moves++
		if len(move.ReadyDuringFailover) > 0 {
			bad.add("%s said ready while no server took writes", strings.Join(move.ReadyDuringFailover, " and "))
		}
		judged += f.judgeFailover(move, &bad)
	}
	if f.expectsFault("failover", "", 0) && judged == 0 {
		bad.add("no write began between %s and %s after a failover", failoverRecoveryTime, failoverRecoveryTime+failoverJudgedTime)
	}
	return bad.check("failover", "after a failover both replicas take writes again within 4 s, and none is ready before",
		"%s writes after %d failovers, each answered on its first try", groupThousands(judged), moves)
}

// judgeFailover returns how many writes were judged after one failover.
func (f *index) judgeFailover(move history.Fault, bad *violations) (judged int) {
	after := interval{move.Ended.Add(failoverRecoveryTime), move.Ended.Add(failoverRecoveryTime + failoverJudgedTime)}
	others := f.faultIntervals(faultAftermath, func(fault history.Fault) bool { return fault.Kind != move.Kind })
	replicas := map[int]int{}
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.ClientCanceled || c.Began.Before(after.start) || c.Began.After(after.end) ||
			slices.ContainsFunc(others, func(s interval) bool { return s.overlaps(c.Began, c.Ended) }) {
			continue
		}
		judged++
		replicas[c.Replica]++
		if good := c.Outcome == history.Done || c.Outcome == history.Refused && isClientError(c.Status); !good || c.Tries > 1 {
			bad.add("call %d, begun %s after the failover, was %s by replica %d on try %d: %s",
				c.Number, c.Began.Sub(move.Ended).Round(time.Millisecond), c.Outcome, c.Replica, c.Tries, c.Status)
		}
	}
	if judged > 0 && len(replicas) < 2 {
		bad.add("after the failover of %s all was answered by replica %v", formatTime(move.Ended), sortedKeys(replicas))
	}
	return judged
}
