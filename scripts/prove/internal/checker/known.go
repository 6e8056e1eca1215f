package checker

import (
	"math"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// gone is the version of a task that was deleted: no list shows one as late.
const gone = math.MaxInt64

// lingering is how long a call without an answer may still take effect.
const lingering = 10 * time.Second

// knowledge is what the makers of changes to the hot tasks had been told at a time.
// Who was told of a change that another made, and may not have been answered, is
// promised nothing by it.
type knowledge struct {
	calls    []*history.Call // by end; those that were not yet told
	hot      []int64         // tasks that the lists were asked for
	versions map[int64]int64
	leaving  map[int64]time.Time // since when somebody wants the task gone
}

func newKnowledge(f *facts) *knowledge {
	k := &knowledge{versions: map[int64]int64{}, leaving: map[int64]time.Time{}}
	hot := map[int64]bool{}
	for i := range f.Reads {
		for task := range f.Reads[i].Versions {
			hot[task] = true
		}
	}
	k.hot = inOrder(hot)
	makers := newMakers(f, hot)
	for i := range f.Journal {
		c := &f.Journal[i]
		if !hot[c.TaskID] {
			continue
		}
		if since, known := k.leaving[c.TaskID]; c.Operation == history.Delete && (!known || c.Began.Before(since)) {
			k.leaving[c.TaskID] = c.Began
		}
		if makers.made(c) {
			k.calls = append(k.calls, c)
		}
	}
	slices.SortFunc(k.calls, func(a, b *history.Call) int { return a.Ended.Compare(b.Ended) })
	return k
}

// advance takes in what was answered before t.
func (k *knowledge) advance(t time.Time) {
	for ; len(k.calls) > 0 && k.calls[0].Ended.Before(t); k.calls = k.calls[1:] {
		c := k.calls[0]
		version := c.Version
		if c.Operation == history.Delete {
			version = gone
		}
		k.versions[c.TaskID] = max(k.versions[c.TaskID], version)
	}
}

// leaves tells whether a list that ended then may lack the task.
func (k *knowledge) leaves(task int64, then time.Time) bool {
	since, known := k.leaving[task]
	return known && since.Before(then)
}

// version is one state of one task.
type version struct{ task, number int64 }

// makers tells who made a change from who found it made. Of several calls that were
// shown the same version one made it; all of them were answered when the last was.
type makers struct {
	*facts
	last    map[version]time.Time // when the last call was answered that was shown it
	unsure  map[version]bool      // a try without an answer may have made it
	unknown map[int64][]span
}

func newMakers(f *facts, hot map[int64]bool) *makers {
	m := &makers{facts: f, last: map[version]time.Time{}, unsure: map[version]bool{}, unknown: map[int64][]span{}}
	for i := range f.Journal {
		c := &f.Journal[i]
		if !hot[c.TaskID] {
			continue
		}
		v := version{c.TaskID, c.Version}
		switch c.Outcome {
		case history.Unknown:
			m.unknown[c.TaskID] = append(m.unknown[c.TaskID], span{c.Began, c.Ended.Add(lingering)})
		case history.Done:
			m.unsure[v] = m.unsure[v] || c.Tries > 1
			if c.Ended.After(m.last[v]) {
				m.last[v] = c.Ended
			}
		}
	}
	return m
}

// made tells whether the maker of the version that a call was shown had its answer
// when this call had.
func (m *makers) made(c *history.Call) bool {
	switch {
	case c.Outcome != history.Done:
		return false
	case c.Operation == history.Change && c.Title != "":
		return true // nobody else asked for it, and it was not tried again
	case c.Operation == history.Delete || c.Operation == history.Create:
		return c.Tries == 1
	}
	v := version{c.TaskID, c.Version}
	return c.Version > 0 && c.Ended.Equal(m.last[v]) && !m.unsure[v] &&
		!slices.ContainsFunc(m.unknown[c.TaskID], func(s span) bool { return s.meets(c.Began, c.Ended) })
}
