package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkStats compares GET /stats of every replica with the table of events, as far as
// these were announced to stats-service.
func checkStats(f *index) Check {
	var bad violations
	days := f.compareStats(f.Stats, &bad)
	flushes := 0
	for _, fault := range f.Faults {
		if fault.Kind == "flush" && fault.Target == "redis" {
			flushes++
		}
	}
	return bad.check("stats", "GET /stats equals SQL over the events, by day and in all, also after a flush of the state",
		"%s completions on %d days, by %d replicas, after %d flushes of the state",
		groupThousands(len(f.completions)), days, len(f.Stats), flushes)
}

// countRange are what a counter has to show: more than the least only when there are
// completions that were dead-lettered and should not have been.
type countRange struct{ least, most int64 }

func (b countRange) contains(n int64) bool { return b.least <= n && n <= b.most }

func (b countRange) String() string {
	if b.least == b.most {
		return fmt.Sprint(b.least)
	}
	return fmt.Sprintf("%d to %d", b.least, b.most)
}

// expectedCounts returns what the counters have to show, in all and by UTC day.
func (f *index) expectedCounts() (total countRange, days map[string]countRange) {
	due, buried := f.publishedCompletions("stats-service")
	days = map[string]countRange{}
	for id, e := range f.completions {
		day := e.At.UTC().Format("2006-01-02")
		n := days[day]
		if due[id] {
			n.least++
			total.least++
		}
		if due[id] || buried[id] {
			n.most++
			total.most++
		}
		days[day] = n
	}
	return total, days
}

// compareStats returns on how many days something was completed.
func (f *index) compareStats(reports []history.StatsReport, bad *violations) int {
	if len(reports) == 0 {
		bad.add("no replica was asked")
	}
	total, days := f.expectedCounts()
	for _, r := range reports {
		if !total.contains(r.Total) {
			bad.add("replica %d: %d in all, SQL says %s", r.Replica, r.Total, total)
		}
		for _, day := range sortedKeys(days) {
			if !days[day].contains(r.ByDay[day]) {
				bad.add("replica %d: %d on %s, SQL says %s", r.Replica, r.ByDay[day], day, days[day])
			}
		}
		for _, day := range sortedKeys(r.ByDay) {
			if _, known := days[day]; !known && r.ByDay[day] != 0 {
				bad.add("replica %d: %d on %s, SQL says 0", r.Replica, r.ByDay[day], day)
			}
		}
		if !r.Complete || r.Lag != 0 {
			bad.add("replica %d: complete %t, lag %d, after quiet", r.Replica, r.Complete, r.Lag)
		}
	}
	return len(days)
}
