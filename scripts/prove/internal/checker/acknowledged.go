package checker

import (
	"math"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// deletedVersion is the version of a task that was deleted: no list shows one as late.
const deletedVersion = math.MaxInt64

// lateEffectTime is how long a call without an answer may still take effect.
const lateEffectTime = 10 * time.Second

// acknowledged is what the makers of changes to the hot tasks had been told at a time.
// Who was told of a change that another made, and may not have been answered, is
// promised nothing by it.
type acknowledged struct {
	calls           []*history.Call // by end; those that were not yet told
	hot             []int64         // tasks that the lists were asked for
	versions        map[int64]int64
	deleteStartedAt map[int64]time.Time // since when somebody wants the task gone
}

func newAcknowledged(f *index) *acknowledged {
	k := &acknowledged{versions: map[int64]int64{}, deleteStartedAt: map[int64]time.Time{}}
	hot := map[int64]bool{}
	for i := range f.Reads {
		for task := range f.Reads[i].Versions {
			hot[task] = true
		}
	}
	k.hot = sortedKeys(hot)
	makers := newAuthors(f, hot)
	for i := range f.Calls {
		c := &f.Calls[i]
		if !hot[c.TaskID] {
			continue
		}
		if since, known := k.deleteStartedAt[c.TaskID]; c.Operation == history.Delete && (!known || c.Began.Before(since)) {
			k.deleteStartedAt[c.TaskID] = c.Began
		}
		if makers.isAcknowledgedAuthor(c) {
			k.calls = append(k.calls, c)
		}
	}
	slices.SortFunc(k.calls, func(a, b *history.Call) int { return a.Ended.Compare(b.Ended) })
	return k
}

// advance takes in what was answered before t.
func (k *acknowledged) advance(t time.Time) {
	for ; len(k.calls) > 0 && k.calls[0].Ended.Before(t); k.calls = k.calls[1:] {
		c := k.calls[0]
		version := c.Version
		if c.Operation == history.Delete {
			version = deletedVersion
		}
		k.versions[c.TaskID] = max(k.versions[c.TaskID], version)
	}
}

// mayLack tells whether a list that ended then may lack the task.
func (k *acknowledged) mayLack(task int64, then time.Time) bool {
	since, known := k.deleteStartedAt[task]
	return known && since.Before(then)
}

// taskVersion is one state of one task.
type taskVersion struct{ task, number int64 }

// authors tells who made a change from who found it made. Of several calls that were
// shown the same version one made it; all of them were answered when the last was.
type authors struct {
	*index
	lastAnswerAt map[taskVersion]time.Time // when the last call was answered that was shown it
	retried      map[taskVersion]bool      // a try without an answer may have made it
	unknownCalls map[int64][]interval
}

func newAuthors(f *index, hot map[int64]bool) *authors {
	m := &authors{index: f, lastAnswerAt: map[taskVersion]time.Time{}, retried: map[taskVersion]bool{}, unknownCalls: map[int64][]interval{}}
	for i := range f.Calls {
		c := &f.Calls[i]
		if !hot[c.TaskID] {
			continue
		}
		v := taskVersion{c.TaskID, c.Version}
		switch c.Outcome {
		case history.Unknown:
			m.unknownCalls[c.TaskID] = append(m.unknownCalls[c.TaskID], interval{c.Began, c.Ended.Add(lateEffectTime)})
		case history.Done:
			m.retried[v] = m.retried[v] || c.Tries > 1
			if c.Ended.After(m.lastAnswerAt[v]) {
				m.lastAnswerAt[v] = c.Ended
			}
		}
	}
	return m
}

// isAcknowledgedAuthor tells whether the maker of the version that a call was shown had its answer
// when this call had.
func (m *authors) isAcknowledgedAuthor(c *history.Call) bool {
	switch {
	case c.Outcome != history.Done:
		return false
	case c.Operation == history.Update && c.Title != "":
		return true // nobody else asked for it, and it was not tried again
	case c.Operation == history.Delete || c.Operation == history.Create:
		return c.Tries == 1
	}
	v := taskVersion{c.TaskID, c.Version}
	return c.Version > 0 && c.Ended.Equal(m.lastAnswerAt[v]) && !m.retried[v] &&
		!slices.ContainsFunc(m.unknownCalls[c.TaskID], func(s interval) bool { return s.overlaps(c.Began, c.Ended) })
}
