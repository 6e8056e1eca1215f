package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// healing is how long a list may stay old once the cache's Redis is well again: until
// the live pass has dropped it.
const healing = 5 * time.Second

// span is a stretch of time.
type span struct{ began, ended time.Time }

// meets tells whether two stretches have a moment in common.
func (s span) meets(began, ended time.Time) bool {
	return !s.ended.Before(began) && !s.began.After(ended)
}

// cache compares what lists showed of the hot tasks with what had been answered
// before they were asked for.
func cache(f *facts) Row {
	var bad findings
	reads := slices.Clone(f.Reads)
	slices.SortFunc(reads, func(a, b history.ListRead) int { return a.Began.Compare(b.Began) })
	unsure := f.cacheInDoubt()
	known := newKnowledge(f)
	compared, excluded, stale, excused := 0, 0, 0, 0
	for i := range reads {
		r := &reads[i]
		known.advance(r.Began)
		doubt := slices.ContainsFunc(unsure, func(s span) bool { return s.meets(r.Began, r.Ended) })
		if doubt {
			excluded++
		}
		for _, task := range known.hot {
			shown, want := r.Versions[task], known.versions[task]
			if want == 0 || shown == 0 && known.leaves(task, r.Ended) {
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
				stamp(r.Began), r.Replica, r.Cache, shown, task, want)
		}
	}
	if compared == 0 || 2*excluded > len(reads) {
		bad.add("%s reads of %s could not be judged", count(excluded), count(len(reads)))
	}
	return bad.row("cache", "a list is never older than what was answered before it was asked for",
		"%s stale of %s tasks in %s reads; %s reads while the cache's Redis was faulted, %d stale among them",
		count(stale), count(compared), count(len(reads)), count(excluded), excused)
}

// cacheInDoubt returns when the cache's Redis may have missed that a list is old: while
// it was faulted, and then until the live pass can have got through.
func (f *facts) cacheInDoubt() []span {
	var doubts []span
	for _, fault := range f.Faults {
		// A flush loses no invalidation, and over a slow link each is confirmed in time.
		if fault.Target == "redis-cache" && fault.Kind != "flush" && fault.Kind != "slow" {
			doubts = append(doubts, span{fault.Began, fault.Ended.Add(healing)})
		}
	}
	inTheWay := slices.Clone(f.Faults)
	slices.SortFunc(inTheWay, func(a, b history.Fault) int { return a.Began.Compare(b.Began) })
	for i := range doubts {
		for _, fault := range inTheWay {
			if stopsLivePass(fault.Target) && doubts[i].meets(fault.Began, fault.Ended) && fault.Ended.Add(healing).After(doubts[i].ended) {
				doubts[i].ended = fault.Ended.Add(healing)
			}
		}
	}
	return doubts
}

func stopsLivePass(target string) bool {
	return target == "redis" || target == "postgres" || strings.HasPrefix(target, "todo-service")
}
