package checker

import (
	"fmt"
	"maps"

	"example.com/todo/scripts/prove/internal/history"
)

// checkStats compares GET /stats of every replica with SQL over the events that were published to
// stats-service.
func checkStats(ix *index, found *violations) string {
	days := ix.compareStats(ix.Stats, found)
	return sprintf("%d completions on %d days, by %d replicas, after %d flushes of Redis",
		len(ix.completions), days, len(ix.Stats), len(ix.faultIntervals(0, isRedisFlush)))
}

// countRange bounds a counter. The bounds differ only if completions were dead-lettered that
// should not have been.
type countRange struct{ least, most int64 }

func (b countRange) String() string {
	if b.least == b.most {
		return fmt.Sprint(b.least)
	}
	return fmt.Sprintf("%d to %d", b.least, b.most)
}

// inTotal is the key of the total beside the counters of the UTC days.
const inTotal = "in total"

// expectedCounts returns the bounds of the counters of the tasks that are selected.
func (ix *index) expectedCounts(selected func(task int64) bool) map[string]countRange {
	due, deadLettered := ix.publishedCompletions("stats-service")
	counts := map[string]countRange{inTotal: {}}
	for id, e := range ix.completions {
		if !selected(e.Task.ID) {
			continue
		}
		for _, key := range []string{inTotal, e.At.UTC().Format("2006-01-02")} {
			n := counts[key]
			if due[id] {
				n.least++
			}
			if due[id] || deadLettered[id] {
				n.most++
			}
			counts[key] = n
		}
	}
	return counts
}

// compareStats compares each report with the expected counts and returns the number of days with
// completions.
func (ix *index) compareStats(reports []history.StatsReport, found *violations) (days int) {
	if len(reports) == 0 {
		found.add("no replica reported")
	}
	want := ix.expectedCounts(func(int64) bool { return true })
	for _, r := range reports {
		compareReport(fmt.Sprintf("replica %d", r.Replica), r, want, found)
	}
	return len(want) - 1
}

// compareReport compares a report with the expected counts.
func compareReport(name string, r history.StatsReport, want map[string]countRange, found *violations) {
	got := map[string]int64{inTotal: r.Total}
	maps.Copy(got, r.ByDay)
	for key := range want {
		got[key] += 0 // for a day that the report lacks
	}
	for _, key := range sortedKeys(got) {
		if n := got[key]; n < want[key].least || n > want[key].most {
			found.add("%s: %d completions (%s), SQL says %s", name, n, key, want[key])
		}
	}
	if !r.Complete || r.Lag != 0 {
		found.add("%s: complete %t, lag %d, although the cluster was quiescent", name, r.Complete, r.Lag)
	}
}
