package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	failoverRecoveryTime = 4 * time.Second  // time after a failover until writes must succeed on their first attempt
	failoverJudgedTime   = 10 * time.Second // time from then on during which writes are judged
)

// checkFailover judges the writes that began soon after the database had moved to its standby,
// and that no replica was ready before.
func checkFailover(ix *index) Check {
	var found violations
	failovers, judged := 0, 0
	for _, fault := range ix.Faults {
		if fault.Kind != "failover" {
			continue
		}
		failovers++
		if len(fault.ReadyDuringFailover) > 0 {
			found.add("%s reported ready while no server took writes", strings.Join(fault.ReadyDuringFailover, " and "))
		}
		judged += ix.judgeFailover(fault, &found)
	}
	if ix.expectsFault("failover", "", 0) && judged == 0 {
		found.add("no write started between %s and %s after a failover", failoverRecoveryTime, failoverRecoveryTime+failoverJudgedTime)
	}
	return found.check("failover", "after a failover both replicas take writes again within 4 s, and none is ready before",
		"%s writes after %d failovers, each answered on its first attempt", groupThousands(judged), failovers)
}

// judgeFailover judges the writes after one failover and returns their number.
func (ix *index) judgeFailover(fault history.Fault, found *violations) (judged int) {
	after := interval{fault.Ended.Add(failoverRecoveryTime), fault.Ended.Add(failoverRecoveryTime + failoverJudgedTime)}
	others := ix.faultIntervals(faultAftermath, func(other history.Fault) bool { return other.Kind != fault.Kind })
	replicas := map[int]int{}
	for i := range ix.Calls {
		c := &ix.Calls[i]
		if c.ClientCanceled || c.Began.Before(after.start) || c.Began.After(after.end) ||
			slices.ContainsFunc(others, func(s interval) bool { return s.overlaps(c.Began, c.Ended) }) {
			continue
		}
		judged++
		replicas[c.Replica]++
		if good := c.Outcome == history.Done || c.Outcome == history.Refused && isClientError(c.Status); !good || c.Tries > 1 {
			found.add("call %d, started %s after the failover, was %s by replica %d on attempt %d: %s",
				c.Number, c.Began.Sub(fault.Ended).Round(time.Millisecond), c.Outcome, c.Replica, c.Tries, c.Status)
		}
	}
	if judged > 0 && len(replicas) < 2 {
		found.add("after the failover of %s only replica %v answered", formatTime(fault.Ended), sortedKeys(replicas))
	}
	return judged
}
