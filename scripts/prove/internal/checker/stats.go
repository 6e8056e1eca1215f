package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkStats compares GET /stats of every replica with SQL over the events that were published to
// stats-service.
func checkStats(ix *index) Check {
	var found violations
	days := ix.compareStats(ix.Stats, &found)
	flushes := 0
	for _, fault := range ix.Faults {
		if fault.Kind == "flush" && fault.Target == "redis" {
			flushes++
		}
	}
	return found.check("stats", "GET /stats equals SQL over the events, by day and in total, also after a flush of Redis",
		"%s completions on %d days, by %d replicas, after %d flushes of Redis",
		groupThousands(len(ix.completions)), days, len(ix.Stats), flushes)
}

// countRange bounds a counter. The bounds differ only if completions were dead-lettered that
// should not have been.
type countRange struct{ least, most int64 }

func (b countRange) contains(n int64) bool { return b.least <= n && n <= b.most }

func (b countRange) String() string {
	if b.least == b.most {
		return fmt.Sprint(b.least)
	}
	return fmt.Sprintf("%d to %d", b.least, b.most)
}

// expectedCounts returns the bounds of the counters, in total and by UTC day.
func (ix *index) expectedCounts() (total countRange, days map[string]countRange) {
	due, deadLettered := ix.publishedCompletions("stats-service")
	days = map[string]countRange{}
	for id, e := range ix.completions {
		day := e.At.UTC().Format("2006-01-02")
		n := days[day]
		if due[id] {
			n.least++
			total.least++
		}
		if due[id] || deadLettered[id] {
			n.most++
			total.most++
		}
		days[day] = n
	}
	return total, days
}

// compareStats compares each report with the expected counts and returns the number of days with
// completions.
func (ix *index) compareStats(reports []history.StatsReport, found *violations) int {
	if len(reports) == 0 {
		found.add("no replica reported")
	}
	total, days := ix.expectedCounts()
	for _, r := range reports {
		if !total.contains(r.Total) {
			found.add("replica %d: %d in total, SQL says %s", r.Replica, r.Total, total)
		}
		for _, day := range sortedKeys(days) {
			if !days[day].contains(r.ByDay[day]) {
				found.add("replica %d: %d on %s, SQL says %s", r.Replica, r.ByDay[day], day, days[day])
			}
		}
		for _, day := range sortedKeys(r.ByDay) {
			if _, known := days[day]; !known && r.ByDay[day] != 0 {
				found.add("replica %d: %d on %s, SQL says 0", r.Replica, r.ByDay[day], day)
			}
		}
		if !r.Complete || r.Lag != 0 {
			found.add("replica %d: complete %t, lag %d, although the cluster was quiescent", r.Replica, r.Complete, r.Lag)
		}
	}
	return len(days)
}
