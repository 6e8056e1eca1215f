package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	comeBack = 4 * time.Second  // after a failover, before writes have to be answered as ever
	watched  = 10 * time.Second // from then on
)

// failover judges the writes that began soon after the database had moved to another
// server, and whether anybody was ready before.
func failover(f *facts) Row {
	var bad findings
	moves, judged := 0, 0
	for _, move := range f.Faults {
		if move.Kind != "failover" {
			continue
		}
		moves++
		if len(move.Ready) > 0 {
			bad.add("%s said ready while no server took writes", strings.Join(move.Ready, " and "))
		}
		judged += f.judgeMove(move, &bad)
	}
	if f.expects("failover", "", 0) && judged == 0 {
		bad.add("no write began between %s and %s after a failover", comeBack, comeBack+watched)
	}
	return bad.row("failover", "after a failover both replicas take writes again within 4 s, and none is ready before",
		"%s writes after %d failovers, each answered on its first try", count(judged), moves)
}

// judgeMove returns how many writes were judged after one failover.
func (f *facts) judgeMove(move history.Fault, bad *findings) (judged int) {
	after := span{move.Ended.Add(comeBack), move.Ended.Add(comeBack + watched)}
	others := f.spans(settling, func(fault history.Fault) bool { return fault.Kind != move.Kind })
	replicas := map[int]int{}
	for i := range f.Journal {
		c := &f.Journal[i]
		if c.Abandoned || c.Began.Before(after.began) || c.Began.After(after.ended) ||
			slices.ContainsFunc(others, func(s span) bool { return s.meets(c.Began, c.Ended) }) {
			continue
		}
		judged++
		replicas[c.Replica]++
		if good := c.Outcome == history.Done || c.Outcome == history.Refused && lawful(c.Status); !good || c.Tries > 1 {
			bad.add("call %d, begun %s after the failover, was %s by replica %d on try %d: %s",
				c.Number, c.Began.Sub(move.Ended).Round(time.Millisecond), c.Outcome, c.Replica, c.Tries, c.Status)
		}
	}
	if judged > 0 && len(replicas) < 2 {
		bad.add("after the failover of %s all was answered by replica %v", stamp(move.Ended), inOrder(replicas))
	}
	return judged
}
