package audit

import "example.com/todo/scripts/prove/internal/evidence"

// statistics compares GET /stats of every replica with the table of events.
func statistics(f *facts) Row {
	var bad findings
	f.compareStats(f.Stats, &bad)
	flushes := 0
	for _, fault := range f.Faults {
		if fault.Kind == "flush" && fault.Target == "redis" {
			flushes++
		}
	}
	return bad.row("stats", "GET /stats equals SQL over the events, by day and in all, also after a flush of the state",
		"%s completions on %d days, by %d replicas, after %d flushes of the state",
		count(len(f.completions)), len(f.byDay()), len(f.Stats), flushes)
}

// byDay counts completions by UTC day.
func (f *facts) byDay() map[string]int64 {
	days := map[string]int64{}
	for _, e := range f.completions {
		days[e.At.UTC().Format("2006-01-02")]++
	}
	return days
}

func (f *facts) compareStats(reports []evidence.Report, bad *findings) {
	if len(reports) == 0 {
		bad.add("no replica was asked")
	}
	want := f.byDay()
	for _, r := range reports {
		if r.Total != int64(len(f.completions)) {
			bad.add("replica %d: %d in all, SQL says %d", r.Replica, r.Total, len(f.completions))
		}
		for _, day := range inOrder(want) {
			if r.ByDay[day] != want[day] {
				bad.add("replica %d: %d on %s, SQL says %d", r.Replica, r.ByDay[day], day, want[day])
			}
		}
		for _, day := range inOrder(r.ByDay) {
			if want[day] == 0 && r.ByDay[day] != 0 {
				bad.add("replica %d: %d on %s, SQL says 0", r.Replica, r.ByDay[day], day)
			}
		}
		if !r.Complete || r.Lag != 0 {
			bad.add("replica %d: complete %t, lag %d, after quiet", r.Replica, r.Complete, r.Lag)
		}
	}
}
