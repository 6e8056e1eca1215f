package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkTaskHistory compares the tasks with what the events say, and the events of each task
// with one another.
func checkTaskHistory(f *index) Check {
	var bad violations
	for _, task := range sortedKeys(f.eventsByTask) {
		if wrong := explainBrokenHistory(f.eventsByTask[task]); wrong != "" {
			bad.add("task %d: %s", task, wrong)
		}
	}
	if repeated := len(f.Events) - len(f.eventsByID); repeated > 0 {
		bad.add("%d events have an id that another has", repeated)
	}
	there := map[int64]bool{}
	for _, t := range f.Tasks {
		there[t.ID] = true
		events := f.eventsByTask[t.ID]
		if len(events) == 0 {
			bad.add("task %d has no event", t.ID)
			continue
		}
		e := events[len(events)-1]
		told := history.Task{ID: t.ID, Title: e.Title, Priority: e.Priority, Done: e.Done, Version: e.Version}
		if e.Type == deleted {
			bad.add("task %d is there, and was deleted", t.ID)
		} else if t != told {
			bad.add("task %d is %+v, and its events say %+v", t.ID, t, told)
		}
	}
	for _, task := range sortedKeys(f.eventsByTask) {
		history := f.eventsByTask[task]
		if !there[task] && history[len(history)-1].Type != deleted {
			bad.add("task %d is gone, and was not deleted", task)
		}
	}
	return bad.check("history", "each change has one event, and the tasks are what the events say",
		"%s events of %s tasks, %s of them there", groupThousands(len(f.Events)), groupThousands(len(f.eventsByTask)), groupThousands(len(f.Tasks)))
}

// explainBrokenHistory says what is wrong with the events of one task, in the order of versions.
func explainBrokenHistory(history []*history.Event) string {
	for i, e := range history {
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
		before := history[i-1]
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

// doneAfter is whether a task is done after a change.
func doneAfter(change string, done bool) bool {
	switch change {
	case completed:
		return true
	case reopened:
		return false
	}
	return done
}
