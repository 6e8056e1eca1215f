package checker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// The event types, as the specification names them.
const (
	created   = "task.created"
	updated   = "task.updated"
	completed = "task.completed"
	reopened  = "task.reopened"
	deleted   = "task.deleted"
)

// taskVersion is one version of one task.
type taskVersion struct{ task, number int64 }

// index is the history of a run with the lookups that the checks need.
type index struct {
	history.Run     // faults and list reads are in the order of their start
	eventsByID      map[string]*history.Event
	eventsByTask    map[int64][]*history.Event // in the order of versions
	eventsByVersion map[taskVersion]*history.Event
	completions     map[string]*history.Event   // by event id
	eventsByTitle   map[string][]*history.Event // the events that gave a title to a task
	owners          map[int64]int64             // by task: the user whose call created it; 0 without sign-in
	records         []*record                   // of the topic, in the order of partition and offset
	firstRecords    map[string]*record          // by event id: the first record that the system wrote
	usedPartitions  map[int32]bool              // the topic's partitions that have records
	poisonKinds     map[string]string           // by contentKey
	expectedLetters map[letterID]*record        // the poison of each
	letters         []letter                    // before the replay
	replayedLetters []letter                    // after it, with those of before
}

func newIndex(run *history.Run) *index {
	ix := &index{
		Run:             *run,
		eventsByID:      make(map[string]*history.Event, len(run.Events)),
		eventsByTask:    map[int64][]*history.Event{},
		eventsByVersion: make(map[taskVersion]*history.Event, len(run.Events)),
		completions:     map[string]*history.Event{},
		eventsByTitle:   map[string][]*history.Event{},
		owners:          map[int64]int64{},
		firstRecords:    make(map[string]*record, len(run.Events)),
		usedPartitions:  map[int32]bool{},
		poisonKinds:     map[string]string{},
		expectedLetters: map[letterID]*record{},
	}
	ix.Faults = sortedBy(run.Faults, func(f history.Fault) time.Time { return f.Began })
	ix.Reads = sortedBy(run.Reads, func(r history.ListRead) time.Time { return r.Began })
	for i := range run.Events {
		e := &run.Events[i]
		ix.eventsByID[e.ID] = e
		ix.eventsByTask[e.Task.ID] = append(ix.eventsByTask[e.Task.ID], e)
		ix.eventsByVersion[taskVersion{e.Task.ID, e.Version}] = e
		if e.Type == completed {
			ix.completions[e.ID] = e
		}
	}
	for _, events := range ix.eventsByTask {
		slices.SortStableFunc(events, func(a, b *history.Event) int { return int(a.Version - b.Version) })
		for i, e := range events {
			if i == 0 || events[i-1].Title != e.Title {
				ix.eventsByTitle[e.Title] = append(ix.eventsByTitle[e.Title], e)
			}
		}
	}
	ix.findOwners()
	ix.classifyRecords()
	ix.letters, ix.replayedLetters = ix.parseLetters(run.DLQ), ix.parseLetters(run.Replay.DLQ)
	return ix
}

// findOwners finds the call that created each task by the title, which is unique in the run. So the
// event of a creation without a response names its user, too.
func (ix *index) findOwners() {
	for _, c := range ix.Calls {
		for _, e := range ix.eventsByTitle[c.Title] {
			if c.Operation == history.Create && e.Type == created {
				ix.owners[e.Task.ID] = c.User
			}
		}
	}
}

// sortedKeys returns the sorted keys of m, so that verdicts are deterministic.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// sortedBy returns the elements in the order of a time.
func sortedBy[T any](all []T, at func(T) time.Time) []T {
	return slices.SortedStableFunc(slices.Values(all), func(a, b T) int { return at(a).Compare(at(b)) })
}

// sortedValues returns the values of m by their keys.
func sortedValues[V any](m map[string]V) []V {
	values := make([]V, 0, len(m))
	for _, key := range sortedKeys(m) {
		values = append(values, m[key])
	}
	return values
}
