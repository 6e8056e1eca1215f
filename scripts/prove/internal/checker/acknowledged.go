package checker

import (
	"math"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// deletedVersion is the version of a deleted task. It is the highest number, so a list without
// the task is never stale.
const deletedVersion = math.MaxInt64

// lateEffectTime is how long after its end a call without a response may still take effect.
const lateEffectTime = 10 * time.Second

// acknowledged is, for one moment, the version of each hot task that a list must at least show.
// Read-your-writes is only promised to the client that made a change and got its response. A
// client that merely observed the change is promised nothing.
type acknowledged struct {
	calls           []*history.Call // not yet applied by advance, by end
	hot             []int64         // ids of the tasks that readers looked for
	versions        map[int64]int64
	deleteStartedAt map[int64]time.Time // by task: start of its first delete call
}

func newAcknowledged(ix *index) *acknowledged {
	a := &acknowledged{versions: map[int64]int64{}, deleteStartedAt: map[int64]time.Time{}}
	hot := map[int64]bool{}
	for i := range ix.Reads {
		for task := range ix.Reads[i].Versions {
			hot[task] = true
		}
	}
	a.hot = sortedKeys(hot)
	authors := newAuthors(ix, hot)
	for i := range ix.Calls {
		c := &ix.Calls[i]
		if !hot[c.TaskID] {
			continue
		}
		if since, known := a.deleteStartedAt[c.TaskID]; c.Operation == history.Delete && (!known || c.Began.Before(since)) {
			a.deleteStartedAt[c.TaskID] = c.Began
		}
		if authors.isAcknowledgedAuthor(c) {
			a.calls = append(a.calls, c)
		}
	}
	slices.SortFunc(a.calls, func(a, b *history.Call) int { return a.Ended.Compare(b.Ended) })
	return a
}

// advance applies the calls that ended before t. Successive calls need ascending times.
func (a *acknowledged) advance(t time.Time) {
	for ; len(a.calls) > 0 && a.calls[0].Ended.Before(t); a.calls = a.calls[1:] {
		c := a.calls[0]
		version := c.Version
		if c.Operation == history.Delete {
			version = deletedVersion
		}
		a.versions[c.TaskID] = max(a.versions[c.TaskID], version)
	}
}

// mayLack reports whether a list that ended at that time may lack the task, because a client was
// deleting it.
func (a *acknowledged) mayLack(task int64, at time.Time) bool {
	since, known := a.deleteStartedAt[task]
	return known && since.Before(at)
}

// taskVersion is one version of one task.
type taskVersion struct{ task, number int64 }

// authors finds the call that made a version. Several calls may be shown the same version, and
// one of them made it. The author certainly has its response when the last of these calls has.
type authors struct {
	*index
	lastResponseAt map[taskVersion]time.Time // end of the last call that was shown the version
	retried        map[taskVersion]bool      // an attempt without a response may have made the version
	unknownCalls   map[int64][]interval
}

func newAuthors(ix *index, hot map[int64]bool) *authors {
	a := &authors{index: ix, lastResponseAt: map[taskVersion]time.Time{}, retried: map[taskVersion]bool{}, unknownCalls: map[int64][]interval{}}
	for i := range ix.Calls {
		c := &ix.Calls[i]
		if !hot[c.TaskID] {
			continue
		}
		v := taskVersion{c.TaskID, c.Version}
		switch c.Outcome {
		case history.Unknown:
			a.unknownCalls[c.TaskID] = append(a.unknownCalls[c.TaskID], interval{c.Began, c.Ended.Add(lateEffectTime)})
		case history.Done:
			a.retried[v] = a.retried[v] || c.Tries > 1
			if c.Ended.After(a.lastResponseAt[v]) {
				a.lastResponseAt[v] = c.Ended
			}
		}
	}
	return a
}

// isAcknowledgedAuthor reports whether, at the end of c, the author of the version that c was
// shown certainly had its response.
func (a *authors) isAcknowledgedAuthor(c *history.Call) bool {
	switch {
	case c.Outcome != history.Done:
		return false
	case c.Operation == history.Update && c.Title != "":
		return true // the title is unique, and an update is not repeated when it may have been made
	case c.Operation == history.Delete || c.Operation == history.Create:
		return c.Tries == 1
	}
	v := taskVersion{c.TaskID, c.Version}
	return c.Version > 0 && c.Ended.Equal(a.lastResponseAt[v]) && !a.retried[v] &&
		!slices.ContainsFunc(a.unknownCalls[c.TaskID], func(s interval) bool { return s.overlaps(c.Began, c.Ended) })
}
