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

// facts is a run with what the rows look up in it.
type facts struct {
	*history.Run
	events      map[string]*history.Event   // by id
	histories   map[int64][]*history.Event  // by task, in the order of versions
	completions map[string]*history.Event   // by id
	introduced  map[string][]*history.Event // by title: the events that gave it to a task
	records     []record                    // of the topic, by partition and offset
	firsts      map[string]*record          // by event: the system's first record of it
	poison      poison
	partitions  int // of the topic that hold anything
}

func gather(run *history.Run) *facts {
	f := &facts{
		Run:         run,
		events:      make(map[string]*history.Event, len(run.Events)),
		histories:   map[int64][]*history.Event{},
		completions: map[string]*history.Event{},
		introduced:  map[string][]*history.Event{},
		firsts:      make(map[string]*record, len(run.Events)),
	}
	for i := range run.Events {
		e := &run.Events[i]
		f.events[e.ID] = e
		f.histories[e.TaskID] = append(f.histories[e.TaskID], e)
		if e.Type == completed {
			f.completions[e.ID] = e
		}
	}
	for _, events := range f.histories {
		slices.SortStableFunc(events, func(a, b *history.Event) int { return int(a.Version - b.Version) })
		for i, e := range events {
			if i == 0 || events[i-1].Title != e.Title {
				f.introduced[e.Title] = append(f.introduced[e.Title], e)
			}
		}
	}
	f.readTopic()
	return f
}

// at returns the event that brought a task to a version, or nil.
func (f *facts) at(task, version int64) *history.Event {
	events := f.histories[task]
	i, found := slices.BinarySearchFunc(events, version, func(e *history.Event, v int64) int { return int(e.Version - v) })
	if !found {
		return nil
	}
	return events[i]
}
