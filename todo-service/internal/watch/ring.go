package watch

import (
	"slices"

	"example.com/todo/todo-service/internal/task"
)

// ringSize is how many announcements a watcher may be behind the newest one without
// reading the event log: some seconds of a busy system, some hundred kilobytes.
const ringSize = 1024

// ring is a ring buffer of the newest announcements, without gaps. It holds at least
// the last ringSize added ones, at most twice as many.
type ring struct {
	newest int64 // seq of the last one; while recent is empty, the seq after which the ring begins
	recent []task.Announcement
}

// add appends a. A repeated announcement is ignored. After a gap, a replaces all
// others.
func (r *ring) add(a task.Announcement) {
	switch {
	case a.Seq <= r.newest:
		return
	case a.Seq > r.newest+1:
		r.recent = nil
	case len(r.recent) == 2*ringSize:
		r.recent = slices.Clone(r.recent[ringSize:])
	}
	r.recent = append(r.recent, a)
	r.newest = a.Seq
}

// after returns a copy of at most limit announcements that follow seq, or nil when
// there is none. behind reports that the ring no longer holds the first of them.
func (r *ring) after(seq int64, limit int) (next []task.Announcement, behind bool) {
	missing := r.newest - seq
	if missing <= 0 {
		return nil, false
	}
	first := int64(len(r.recent)) - missing
	if first < 0 {
		return nil, true
	}
	next = r.recent[first:]
	return slices.Clone(next[:min(limit, len(next))]), false
}
