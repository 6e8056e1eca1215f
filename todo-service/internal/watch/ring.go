package watch

import (
	"slices"

	"example.com/todo/todo-service/internal/task"
)

// ringSize is how far behind the newest announcement a watcher may be before it
// reads the log: some seconds of a busy system, some hundred kilobytes.
const ringSize = 1024

// ring holds the newest announcements, without gaps.
type ring struct {
	newest int64 // seq of the newest announcement known, held or not
	recent []task.Announcement
}

// add appends a. One that it already holds is passed over; one with a gap before
// it displaces all others.
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

// readRing returns a copy of at most limit announcements that follow seq. It is
// empty when there is none; behind means that the first of them is no longer
// held.
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
