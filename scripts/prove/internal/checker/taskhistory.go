package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkTaskHistory compares the tasks with their last events, and checks the sequence of each
// task's events.
func checkTaskHistory(ix *index) Check {
	var found violations
	for _, task := range sortedKeys(ix.eventsByTask) {
		if wrong := explainBrokenHistory(ix.eventsByTask[task]); wrong != "" {
			found.add("task %d: %s", task, wrong)
		}
	}
	if repeated := len(ix.Events) - len(ix.eventsByID); repeated > 0 {
		found.add("%d events share their id with another", repeated)
	}
	exists := map[int64]bool{}
	for _, t := range ix.Tasks {
		exists[t.ID] = true
		events := ix.eventsByTask[t.ID]
		if len(events) == 0 {
			found.add("task %d has no event", t.ID)
			continue
		}
		e := events[len(events)-1]
		want := history.Task{ID: t.ID, Title: e.Title, Priority: e.Priority, Done: e.Done, Version: e.Version}
		if e.Type == deleted {
			found.add("task %d exists although it was deleted", t.ID)
		} else if t != want {
			found.add("task %d is %+v, its events say %+v", t.ID, t, want)
		}
	}
	for _, task := range sortedKeys(ix.eventsByTask) {
		events := ix.eventsByTask[task]
		if !exists[task] && events[len(events)-1].Type != deleted {
			found.add("task %d is missing and was not deleted", task)
		}
	}
	return found.check("task-history", "each change has one event, and the tasks are what the events say",
		"%s events of %s tasks, %s of them not deleted", groupThousands(len(ix.Events)), groupThousands(len(ix.eventsByTask)), groupThousands(len(ix.Tasks)))
}

// explainBrokenHistory returns what is wrong with the events of one task, in the order of
// versions, or "".
func explainBrokenHistory(events []*history.Event) string {
	for i, e := range events {
		switch want := int64(i + 1); {
		case e.Version < want:
			return fmt.Sprintf("version %d has two events", e.Version)
		case e.Version > want:
			return fmt.Sprintf("version %d has no event", want)
		case (e.Type == created) != (i == 0):
			return fmt.Sprintf("version %d is %s", e.Version, e.Type)
		}
		if i == 0 {
			continue
		}
		before := events[i-1]
		switch {
		case before.Type == deleted:
			return fmt.Sprintf("%s after it was deleted", e.Type)
		case e.Pos <= before.Pos:
			return fmt.Sprintf("version %d is at %d, version %d at %d", before.Version, before.Pos, e.Version, e.Pos)
		case e.Done != doneAfter(e.Type, before.Done) || e.Type == completed && before.Done || e.Type == reopened && !before.Done:
			return fmt.Sprintf("version %d is %s, done from %t to %t", e.Version, e.Type, before.Done, e.Done)
		}
	}
	return ""
}

// doneAfter reports whether a task is done after a change.
func doneAfter(change string, done bool) bool {
	switch change {
	case completed:
		return true
	case reopened:
		return false
	}
	return done
}
