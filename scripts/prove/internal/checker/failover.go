package checker

import (
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
func checkFailover(ix *index, found *violations) string {
	failovers, judged := 0, 0
	for _, fault := range ix.Faults {
		if fault.Kind != "failover" {
			continue
		}
		failovers++
		if len(fault.ReadyDuringFailover) > 0 {
			found.add("%s reported ready while no server took writes", strings.Join(fault.ReadyDuringFailover, " and "))
		}
		judged += ix.judgeFailover(fault, found)
	}
	if ix.expectsFault("failover", "", 0) && judged == 0 {
		found.add("no write started between %s and %s after a failover",
			failoverRecoveryTime, failoverRecoveryTime+failoverJudgedTime)
	}
	return sprintf("%d writes after %d failovers, each answered on its first attempt", judged, failovers)
}

// judgeFailover judges the writes after one failover and returns their number.
func (ix *index) judgeFailover(fault history.Fault, found *violations) (judged int) {
	recovered := fault.Ended.Add(failoverRecoveryTime)
	others := ix.faultIntervals(faultAftermath, func(other history.Fault) bool { return other.Kind != fault.Kind })
	replicas := map[int]int{}
	for _, c := range ix.callsBegunIn(interval{recovered, recovered.Add(failoverJudgedTime)}) {
		if others.overlap(c.Began, c.Ended) {
			continue
		}
		judged++
		replicas[c.Replica]++
		if !isAnswered(c) || c.Tries > 1 {
			found.add("call %d, started %s after the failover, was %s by replica %d on attempt %d: %s",
				c.Number, c.Began.Sub(fault.Ended).Round(time.Millisecond), c.Outcome, c.Replica, c.Tries, c.Status)
		}
	}
	if len(replicas) == 1 {
		found.add("after the failover of %s only replica %v answered", formatTime(fault.Ended), sortedKeys(replicas))
	}
	return judged
}
