package audit

import (
	"math"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/evidence"
)

// gone is the version of a task that was deleted: no list shows one as late.
const gone = math.MaxInt64

// lingering is how long a call without an answer may still take effect.
const lingering = 10 * time.Second

// knowledge is what the makers of changes to the hot tasks had been told at a time.
// Who was told of a change that another made, and may not have been answered, is
// promised nothing by it.
type knowledge struct {
	calls    []*evidence.Call // by end; those that were not yet told
	hot      []int64          // tasks that the lists were asked for
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
		if since, known := k.leaving[c.TaskID]; c.Operation == evidence.Delete && (!known || c.Began.Before(since)) {
			k.leaving[c.TaskID] = c.Began
		}
		if makers.made(c) {
			k.calls = append(k.calls, c)
		}
	}
	slices.SortFunc(k.calls, func(a, b *evidence.Call) int { return a.Ended.Compare(b.Ended) })
	return k
}

// advance takes in what was answered before t.
func (k *knowledge) advance(t time.Time) {
	for ; len(k.calls) > 0 && k.calls[0].Ended.Before(t); k.calls = k.calls[1:] {
		c := k.calls[0]
		version := c.Version
		if c.Operation == evidence.Delete {
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

// makers tells who made a change from who found it made.
type makers struct {
	*facts
	shown   map[version]int // to how many calls
	unknown map[int64][]span
}

func newMakers(f *facts, hot map[int64]bool) *makers {
	m := &makers{facts: f, shown: map[version]int{}, unknown: map[int64][]span{}}
	for i := range f.Journal {
		switch c := &f.Journal[i]; {
		case !hot[c.TaskID]:
		case c.Outcome == evidence.Done:
			m.shown[version{c.TaskID, c.Version}]++
		case c.Outcome == evidence.Unknown:
			m.unknown[c.TaskID] = append(m.unknown[c.TaskID], span{c.Began, c.Ended.Add(lingering)})
		}
	}
	return m
}

// made tells whether the try that was answered made the version that it showed.
func (m *makers) made(c *evidence.Call) bool {
	switch {
	case c.Outcome != evidence.Done:
		return false
	case c.Operation == evidence.Change && c.Title != "":
		return true // nobody else asked for it, and it was not tried again
	case c.Tries > 1:
		return false
	case c.Operation == evidence.Delete || c.Operation == evidence.Create:
		return true
	case c.Version == 0:
		return false
	}
	return m.shown[version{c.TaskID, c.Version}] == 1 &&
		!slices.ContainsFunc(m.unknown[c.TaskID], func(s span) bool { return s.meets(c.Began, c.Ended) })
}
