package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkTaskHistory compares the tasks with their last events, and checks the sequence of each
// task's events.
func checkTaskHistory(ix *index, found *violations) string {
	if repeated := len(ix.Events) - len(ix.eventsByID); repeated > 0 {
		found.add("%d events share their id with another", repeated)
	}
	rows := map[int64]history.Task{}
	for _, t := range ix.Tasks {
		rows[t.ID] = t
		if ix.eventsByTask[t.ID] == nil {
			found.add("task %d has no event", t.ID)
		}
	}
	for _, task := range sortedKeys(ix.eventsByTask) {
		events := ix.eventsByTask[task]
		if wrong := explainBrokenHistory(events); wrong != "" {
			found.add("task %d: %s", task, wrong)
		}
		last := events[len(events)-1]
		row, exists := rows[task]
		switch {
		case exists && last.Type == deleted:
			found.add("task %d exists although it was deleted", task)
		case exists && row != last.Task:
			found.add("task %d is %+v, its events say %+v", task, row, last.Task)
		case !exists && last.Type != deleted:
			found.add("task %d is missing and was not deleted", task)
		}
	}
	return sprintf("%d events of %d tasks, %d of them not deleted", len(ix.Events), len(ix.eventsByTask), len(ix.Tasks))
}

// explainBrokenHistory returns what is wrong with the events of one task, in the order of
// versions, or "".
func explainBrokenHistory(events []*history.Event) string {
	before := &history.Event{}
	for i, e := range events {
		want := int64(i + 1)
		changesDone := e.Type == completed || e.Type == reopened
		switch {
		case e.Version < want:
			return fmt.Sprintf("version %d has two events", e.Version)
		case e.Version > want:
			return fmt.Sprintf("version %d has no event", want)
		case (e.Type == created) != (i == 0):
			return fmt.Sprintf("version %d is %s", e.Version, e.Type)
		case before.Type == deleted:
			return fmt.Sprintf("%s after it was deleted", e.Type)
		case e.Pos <= before.Pos:
			return fmt.Sprintf("version %d is at %d, version %d at %d", before.Version, before.Pos, e.Version, e.Pos)
		case changesDone != (e.Done != before.Done), changesDone && e.Done != (e.Type == completed):
			return fmt.Sprintf("version %d is %s, done from %t to %t", e.Version, e.Type, before.Done, e.Done)
		}
		before = e
	}
	return ""
}
