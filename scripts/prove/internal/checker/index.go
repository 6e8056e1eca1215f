package checker

import (
	"slices"

	"example.com/todo/scripts/prove/internal/history"
)

// The types of events, as the specification names them.
const (
	created   = "task.created"
	updated   = "task.updated"
	completed = "task.completed"
	reopened  = "task.reopened"
	deleted   = "task.deleted"
)

// index is a run with what the rows look up in it.
type index struct {
	*history.Run
	eventsByID     map[string]*history.Event   // by id
	eventsByTask   map[int64][]*history.Event  // by task, in the order of versions
	completions    map[string]*history.Event   // by id
	eventsByTitle  map[string][]*history.Event // by title: the events that gave it to a task
	records        []record                    // of the topic, by partition and offset
	firstRecords   map[string]*record          // by event: the system's first record of it
	poison         poisonIndex
	usedPartitions int // of the topic that hold anything
}

func newIndex(run *history.Run) *index {
	f := &index{
		Run:           run,
		eventsByID:    make(map[string]*history.Event, len(run.Events)),
		eventsByTask:  map[int64][]*history.Event{},
		completions:   map[string]*history.Event{},
		eventsByTitle: map[string][]*history.Event{},
		firstRecords:  make(map[string]*record, len(run.Events)),
	}
	for i := range run.Events {
		e := &run.Events[i]
		f.eventsByID[e.ID] = e
		f.eventsByTask[e.TaskID] = append(f.eventsByTask[e.TaskID], e)
		if e.Type == completed {
			f.completions[e.ID] = e
		}
	}
	for _, events := range f.eventsByTask {
		slices.SortStableFunc(events, func(a, b *history.Event) int { return int(a.Version - b.Version) })
		for i, e := range events {
			if i == 0 || events[i-1].Title != e.Title {
				f.eventsByTitle[e.Title] = append(f.eventsByTitle[e.Title], e)
			}
		}
	}
	f.classifyRecords()
	return f
}

// eventAt returns the event that brought a task to a version, or nil.
func (f *index) eventAt(task, version int64) *history.Event {
	events := f.eventsByTask[task]
	i, found := slices.BinarySearchFunc(events, version, func(e *history.Event, v int64) int { return int(e.Version - v) })
	if !found {
		return nil
	}
	return events[i]
}
