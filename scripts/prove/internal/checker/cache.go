package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// cacheRecoveryTime is how long lists may stay stale after the cache's Redis has recovered. The
// relay's live cursor invalidates them within that time.
const cacheRecoveryTime = 5 * time.Second

// interval is a span of time, both ends included.
type interval struct{ start, end time.Time }

// overlaps reports whether the interval and the given one share a moment.
func (i interval) overlaps(began, ended time.Time) bool {
	return !i.end.Before(began) && !i.start.After(ended)
}

// checkCache checks read-your-writes for lists: each shows every hot task at the last version
// that its author had been acknowledged before the list was requested.
func checkCache(ix *index) Check {
	var found violations
	reads := slices.Clone(ix.Reads)
	slices.SortFunc(reads, func(a, b history.ListRead) int { return a.Began.Compare(b.Began) })
	unreliable := ix.unreliableCacheIntervals()
	acked := newAcknowledged(ix)
	compared, excluded, stale, excused := 0, 0, 0, 0
	for i := range reads {
		r := &reads[i]
		acked.advance(r.Began)
		excusable := slices.ContainsFunc(unreliable, func(s interval) bool { return s.overlaps(r.Began, r.Ended) })
		if excusable {
			excluded++
		}
		for _, task := range acked.hot {
			shown, want := r.Versions[task], acked.versions[task]
			if want == 0 || shown == 0 && acked.mayLack(task, r.Ended) {
				continue
			}
			compared++
			if shown >= want {
				continue
			}
			if excusable {
				excused++
				continue
			}
			stale++
			found.add("%s: replica %d (%s) showed version %d of task %d after version %d had been acknowledged",
				formatTime(r.Began), r.Replica, r.CacheStatus, shown, task, want)
		}
	}
	if compared == 0 || 2*excluded > len(reads) {
		found.add("%s of %s reads could not be judged", groupThousands(excluded), groupThousands(len(reads)))
	}
	return found.check("cache", "a list is never older than what was acknowledged before it was requested",
		"%s stale of %s tasks in %s reads; %s reads excused by faults of the cache's Redis, %d stale among them",
		groupThousands(stale), groupThousands(compared), groupThousands(len(reads)), groupThousands(excluded), excused)
}

// unreliableCacheIntervals returns when an invalidation may have been lost: while the cache's
// Redis was faulted, and until the relay's live cursor has caught up afterwards.
func (ix *index) unreliableCacheIntervals() []interval {
	var intervals []interval
	for _, fault := range ix.Faults {
		// A flush loses no invalidation, and over a slow link each invalidation is confirmed in
		// time.
		if fault.Target == "redis-cache" && fault.Kind != "flush" && fault.Kind != "slow" {
			intervals = append(intervals, interval{fault.Began, fault.Ended.Add(cacheRecoveryTime)})
		}
	}
	byStart := slices.Clone(ix.Faults)
	slices.SortFunc(byStart, func(a, b history.Fault) int { return a.Began.Compare(b.Began) })
	for i := range intervals {
		for _, fault := range byStart {
			if blocksLiveForwarder(fault.Target) && intervals[i].overlaps(fault.Began, fault.Ended) && fault.Ended.Add(cacheRecoveryTime).After(intervals[i].end) {
				intervals[i].end = fault.Ended.Add(cacheRecoveryTime)
			}
		}
	}
	return intervals
}

func blocksLiveForwarder(target string) bool {
	return target == "redis" || target == "postgres" || strings.HasPrefix(target, "todo-service")
}
