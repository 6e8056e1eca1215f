package watch

import (
	"slices"
	"sort"

	"example.com/todo/todo-service/internal/task"
)

// ringSize is how many announcements a watcher may be behind the newest one without
// reading the event log: some seconds of a busy system, some hundred kilobytes.
const ringSize = 1024

// ring is a ring buffer of the newest announcements, without gaps, indexed by owner. It
// holds at least the last ringSize added ones, at most twice as many.
type ring struct {
	begin  int64                     // the ring has all announcements after this seq
	newest int64                     // seq of the last one
	owners map[task.Owner]*ownerRing // of the owners with announcements or watchers
}

// ownerRing has the announcements of one owner that are in the ring.
type ownerRing struct {
	begin    int64 // recent has all of the owner's announcements after this seq
	recent   []task.Announcement
	watchers int
	changed  chan struct{} // closed and replaced when recent has grown; nil without watchers
}

// newRing returns a ring of the announcements after begin.
func newRing(begin int64) ring {
	return ring{begin: begin, newest: begin, owners: make(map[task.Owner]*ownerRing)}
}

// of returns the owner's part.
func (r *ring) of(owner task.Owner) *ownerRing {
	part := r.owners[owner]
	if part == nil {
		part = &ownerRing{begin: r.begin}
		r.owners[owner] = part
	}
	return part
}

// add appends a, and wakes the watchers of its owner. A repeated announcement is ignored.
// After a gap, a replaces all others.
func (r *ring) add(a task.Announcement) {
	switch {
	case a.Seq <= r.newest:
		return
	case a.Seq > r.newest+1:
		r.dropThrough(a.Seq - 1)
	case r.newest-r.begin == 2*ringSize:
		r.dropThrough(a.Seq - 1 - ringSize)
	}
	part := r.of(a.Event.Owner)
	part.recent = append(part.recent, a)
	part.wake()
	r.newest = a.Seq
}

// dropThrough removes the announcements up to that seq. A ring that does not reach so far
// begins there, and so does each of its parts.
func (r *ring) dropThrough(seq int64) {
	gap := seq > r.newest
	for owner, part := range r.owners {
		if n := part.countThrough(seq); n > 0 {
			part.begin = part.recent[n-1].Seq
			part.recent = slices.Clone(part.recent[n:])
		}
		if gap {
			part.begin = seq
		}
		r.forgetUnused(owner)
	}
	r.begin = seq
}

// forgetUnused removes the part of an owner without announcements and watchers.
func (r *ring) forgetUnused(owner task.Owner) {
	if part := r.owners[owner]; len(part.recent) == 0 && part.watchers == 0 {
		delete(r.owners, owner)
	}
}

// wake wakes the watchers of the owner.
func (p *ownerRing) wake() {
	if p.watchers > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// countThrough returns how many announcements of the part have at most that seq.
func (p *ownerRing) countThrough(seq int64) int {
	return sort.Search(len(p.recent), func(i int) bool { return p.recent[i].Seq > seq })
}

// after returns a copy of at most limit announcements that follow seq, or nil when there
// is none. behind reports that the part no longer holds the first of them.
func (p *ownerRing) after(seq int64, limit int) (next []task.Announcement, behind bool) {
	if seq < p.begin {
		return nil, true
	}
	next = p.recent[p.countThrough(seq):]
	return slices.Clone(next[:min(limit, len(next))]), false
}
