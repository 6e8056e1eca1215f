package checker

import (
	"slices"

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

// index is the history of a run with the lookups that the checks need.
type index struct {
	*history.Run
	eventsByID     map[string]*history.Event
	eventsByTask   map[int64][]*history.Event  // in the order of versions
	completions    map[string]*history.Event   // by event id
	eventsByTitle  map[string][]*history.Event // the events that gave a title to a task
	records        []record                    // of the topic, in the order of partition and offset
	firstRecords   map[string]*record          // by event id: the first record that the system wrote
	poison         poisonIndex
	usedPartitions int // number of the topic's partitions that have records
}

func newIndex(run *history.Run) *index {
	ix := &index{
		Run:           run,
		eventsByID:    make(map[string]*history.Event, len(run.Events)),
		eventsByTask:  map[int64][]*history.Event{},
		completions:   map[string]*history.Event{},
		eventsByTitle: map[string][]*history.Event{},
		firstRecords:  make(map[string]*record, len(run.Events)),
	}
	for i := range run.Events {
		e := &run.Events[i]
		ix.eventsByID[e.ID] = e
		ix.eventsByTask[e.TaskID] = append(ix.eventsByTask[e.TaskID], e)
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
	ix.classifyRecords()
	return ix
}

// eventAt returns the event that made a version of a task, or nil.
func (ix *index) eventAt(task, version int64) *history.Event {
	events := ix.eventsByTask[task]
	i, found := slices.BinarySearchFunc(events, version, func(e *history.Event, v int64) int { return int(e.Version - v) })
	if !found {
		return nil
	}
	return events[i]
}
