package checker

import (
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// cacheRecoveryTime is how long lists may stay stale after the cache's Redis has recovered. The
// relay's live cursor invalidates them within that time.
const cacheRecoveryTime = 5 * time.Second

// checkCache checks read-your-writes for lists: each shows every hot task of its user at the last
// version that its author had been acknowledged before the list was requested. Check "owners" judges
// a list with a task of another user.
func checkCache(ix *index, found *violations) string {
	hot := map[int64]bool{}
	for _, r := range ix.Reads {
		for task := range r.Versions {
			hot[task] = true
		}
	}
	hotCalls := slices.DeleteFunc(slices.Clone(ix.Calls), func(c history.Call) bool { return !hot[c.TaskID] })
	deletions := map[int64][]time.Time{} // by task: starts of the calls to delete it
	for _, c := range hotCalls {
		if c.Operation == history.Delete {
			deletions[c.TaskID] = append(deletions[c.TaskID], c.Began)
		}
	}
	unreliable, acked := ix.unreliableCacheIntervals(), newAcknowledged(authorCalls(hotCalls))
	hotTasks, compared, excluded, excused := sortedKeys(hot), 0, 0, 0
	for _, r := range ix.Reads {
		acked.advance(r.Began)
		if ix.showsForeignTask(r) {
			continue
		}
		excusable := unreliable.overlap(r.Began, r.Ended)
		if excusable {
			excluded++
		}
		for _, task := range hotTasks {
			if ix.owners[task] != r.User {
				continue
			}
			shown, want := r.Versions[task], acked.versions[task]
			mayLack := slices.ContainsFunc(deletions[task], r.Ended.After)
			if want == 0 || shown == 0 && mayLack {
				continue
			}
			compared++
			switch {
			case shown >= want:
			case excusable:
				excused++
			default:
				found.add("%s: replica %d (%s) showed version %d of task %d after version %d had been acknowledged",
					formatTime(r.Began), r.Replica, r.CacheStatus, shown, task, want)
			}
		}
	}
	stale := found.total
	if compared == 0 || 2*excluded > len(ix.Reads) {
		found.add("%d of %d reads could not be judged", excluded, len(ix.Reads))
	}
	return sprintf(
		"%d stale of %d tasks in %d reads; %d reads excused by faults of the cache's Redis, %d stale among them",
		stale, compared, len(ix.Reads), excluded, excused)
}

func (ix *index) showsForeignTask(r history.ListRead) bool {
	for task := range r.Versions {
		if ix.owners[task] != r.User {
			return true
		}
	}
	return false
}

// unreliableCacheIntervals returns when an invalidation may have been lost: while the cache's
// Redis was faulted, and until the relay's live cursor has caught up afterwards.
func (ix *index) unreliableCacheIntervals() intervals {
	// A flush loses no invalidation, and over a slow link each invalidation is confirmed in time.
	spans := ix.faultIntervals(cacheRecoveryTime, func(fault history.Fault) bool {
		return fault.Target == "redis-cache" && fault.Kind != "flush" && fault.Kind != "slow"
	})
	stopsCursor := ix.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "redis" || fault.Target == "postgres" || isOfTodoService(fault)
	})
	for i := range spans {
		for _, fault := range stopsCursor {
			caughtUp := fault.end.Add(cacheRecoveryTime)
			if spans[i].overlaps(fault.start, fault.end) && caughtUp.After(spans[i].end) {
				spans[i].end = caughtUp
			}
		}
	}
	return spans
}
