package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// cacheRecoveryTime is how long a list may stay old once the cache's Redis is well again: until
// the live pass has dropped it.
const cacheRecoveryTime = 5 * time.Second

// interval is a stretch of time.
type interval struct{ start, end time.Time }

// overlaps tells whether two stretches have a moment in common.
func (s interval) overlaps(began, ended time.Time) bool {
	return !s.end.Before(began) && !s.start.After(ended)
}

// checkCache compares what lists showed of the hot tasks with what had been answered
// before they were asked for.
func checkCache(f *index) Check {
	var bad violations
	reads := slices.Clone(f.Reads)
	slices.SortFunc(reads, func(a, b history.ListRead) int { return a.Began.Compare(b.Began) })
	unsure := f.unreliableCacheIntervals()
	known := newAcknowledged(f)
	compared, excluded, stale, excused := 0, 0, 0, 0
	for i := range reads {
		r := &reads[i]
		known.advance(r.Began)
		doubt := slices.ContainsFunc(unsure, func(s interval) bool { return s.overlaps(r.Began, r.Ended) })
		if doubt {
			excluded++
		}
		for _, task := range known.hot {
			shown, want := r.Versions[task], known.versions[task]
			if want == 0 || shown == 0 && known.mayLack(task, r.Ended) {
				continue
			}
			compared++
			if shown >= want {
				continue
			}
			if doubt {
				excused++
				continue
			}
			stale++
			bad.add("%s: replica %d (%s) showed version %d of task %d, after %d had been answered",
				formatTime(r.Began), r.Replica, r.CacheStatus, shown, task, want)
		}
	}
	if compared == 0 || 2*excluded > len(reads) {
		bad.add("%s reads of %s could not be judged", groupThousands(excluded), groupThousands(len(reads)))
	}
	return bad.check("cache", "a list is never older than what was answered before it was asked for",
		"%s stale of %s tasks in %s reads; %s reads while the cache's Redis was faulted, %d stale among them",
		groupThousands(stale), groupThousands(compared), groupThousands(len(reads)), groupThousands(excluded), excused)
}

// unreliableCacheIntervals returns when the cache's Redis may have missed that a list is old: while
// it was faulted, and then until the live pass can have got through.
func (f *index) unreliableCacheIntervals() []interval {
	var doubts []interval
	for _, fault := range f.Faults {
		// A flush loses no invalidation, and over a slow link each is confirmed in time.
		if fault.Target == "redis-cache" && fault.Kind != "flush" && fault.Kind != "slow" {
			doubts = append(doubts, interval{fault.Began, fault.Ended.Add(cacheRecoveryTime)})
		}
	}
	inTheWay := slices.Clone(f.Faults)
	slices.SortFunc(inTheWay, func(a, b history.Fault) int { return a.Began.Compare(b.Began) })
	for i := range doubts {
		for _, fault := range inTheWay {
			if blocksLiveForwarder(fault.Target) && doubts[i].overlaps(fault.Began, fault.Ended) && fault.Ended.Add(cacheRecoveryTime).After(doubts[i].end) {
				doubts[i].end = fault.Ended.Add(cacheRecoveryTime)
			}
		}
	}
	return doubts
}

func blocksLiveForwarder(target string) bool {
	return target == "redis" || target == "postgres" || strings.HasPrefix(target, "todo-service")
}
