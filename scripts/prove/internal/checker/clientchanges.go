// Checks of calls that change a task, and the search for keys, changes and responses that
// no call explains.

package checker

import (
	"cmp"
	"fmt"
	"slices"

	"example.com/todo/scripts/prove/internal/history"
)

// checkUpdate checks a call that asked for another title or priority. Like the other checks of
// calls it returns what is wrong, or "".
func (j *clientHistoryChecker) checkUpdate(c *history.Call) string {
	if c.Title == "" {
		return j.checkShownVersion(c, fmt.Sprintf("priority %d", c.Priority), func(e *history.Event) bool { return e.Priority == c.Priority })
	}
	events := j.eventsByTitle[c.Title]
	if wrong := j.checkEffectCount(c, len(events)); wrong != "" {
		return wrong
	}
	for _, e := range events {
		if e.TaskID != c.TaskID || e.Type != updated {
			return fmt.Sprintf("its title was given to task %d by %s", e.TaskID, e.Type)
		}
		if e.Priority != c.Priority {
			return fmt.Sprintf("it asked for priority %d, its event has %d", c.Priority, e.Priority)
		}
	}
	if c.Outcome == history.Done && c.Version != 0 && c.Version != events[0].Version {
		return fmt.Sprintf("it made version %d, and the response shows %d", events[0].Version, c.Version)
	}
	return j.checkShownVersion(c, "its title", func(e *history.Event) bool { return e.Title == c.Title })
}

// checkDoneChange checks a call that asked to complete or reopen a task.
func (j *clientHistoryChecker) checkDoneChange(c *history.Call) string {
	want := c.Operation == history.Complete
	if c.Outcome == history.Done && c.Version > 0 && c.Done != want {
		return fmt.Sprintf("the response shows done %t", c.Done)
	}
	return j.checkShownVersion(c, fmt.Sprintf("done %t", want), func(e *history.Event) bool { return e.Done == want })
}

// checkShownVersion checks that the version in the response has what the call asked for. If the
// response shows no version, any version of the task may have it.
func (j *clientHistoryChecker) checkShownVersion(c *history.Call, what string, holds func(*history.Event) bool) string {
	if c.Outcome != history.Done {
		return ""
	}
	if c.Version == 0 {
		if !slices.ContainsFunc(j.eventsByTask[c.TaskID], holds) {
			return fmt.Sprintf("the task never had %s", what)
		}
		return ""
	}
	switch e := j.eventAt(c.TaskID, c.Version); {
	case e == nil:
		return fmt.Sprintf("there is no version %d", c.Version)
	case !holds(e):
		return fmt.Sprintf("version %d does not have %s", c.Version, what)
	}
	return ""
}

// checkDeletion checks a call that asked to delete a task.
func (j *clientHistoryChecker) checkDeletion(c *history.Call) string {
	if c.Outcome != history.Done {
		return ""
	}
	events := j.eventsByTask[c.TaskID]
	if len(events) == 0 || events[len(events)-1].Type != deleted {
		return "it has no event"
	}
	return ""
}

// findUnknownKeys reports tasks that two keys stand for, and keys that no client sent.
func (j *clientHistoryChecker) findUnknownKeys() {
	tasks := map[int64]string{}
	for _, k := range j.Keys {
		if other, taken := tasks[k.TaskID]; taken {
			j.violations.add("task %d belongs to two keys, %s and %s", k.TaskID, other, k.Key)
		}
		tasks[k.TaskID] = k.Key
		if j.callsByKey[k.Key] == nil {
			j.violations.add("no client sent the key %s of task %d", k.Key, k.TaskID)
		}
	}
}

// changeKind is the key under which changes are counted that set no title of their own.
type changeKind struct {
	task      int64
	eventType string // type of the event; updates that change a title are matched by the title instead
}

// findUnknownChanges reports changes that no call can have made. Each attempt of a completion
// makes one change at most, any other call one in total.
func (j *clientHistoryChecker) findUnknownChanges() {
	allowed, deletions := map[changeKind]int{}, map[int64]int{}
	types := map[history.Operation]string{
		history.Update: updated, history.Complete: completed, history.Reopen: reopened, history.Delete: deleted,
	}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Outcome == history.Refused || c.Title != "" {
			continue
		}
		n := 1
		if c.Operation == history.Complete {
			n = max(1, c.Tries)
		}
		allowed[changeKind{c.TaskID, types[c.Operation]}] += n
		if c.Operation == history.Delete && c.Outcome == history.Done {
			deletions[c.TaskID]++
		}
	}
	for task, n := range deletions {
		if n > 1 {
			j.violations.add("task %d was deleted %d times", task, n)
		}
	}
	for _, task := range sortedKeys(j.eventsByTask) {
		title := ""
		for _, e := range j.eventsByTask[task] {
			same := e.Title == title
			title = e.Title
			kind := changeKind{task, e.Type}
			switch {
			case !same && j.callsByTitle[e.Title] == nil:
				j.violations.add("no client asked for %q, version %d of task %d", e.Title, e.Version, task)
			case same && allowed[kind] == 0:
				j.violations.add("no client asked for version %d of task %d, %s", e.Version, task, e.Type)
			case same:
				allowed[kind]--
			}
		}
	}
}

// findRegressions reports responses older than a response that was given before their call began.
func (j *clientHistoryChecker) findRegressions() {
	var ended, began []*history.Call
	for i := range j.Calls {
		if c := &j.Calls[i]; c.Outcome == history.Done && c.Version > 0 {
			ended, began = append(ended, c), append(began, c)
		}
	}
	slices.SortFunc(ended, func(a, b *history.Call) int { return a.Ended.Compare(b.Ended) })
	slices.SortFunc(began, func(a, b *history.Call) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Number, b.Number))
	})
	known := map[int64]int64{}
	for _, c := range began {
		// A repeated creation gets its first response again, so creations are not compared.
		for ; len(ended) > 0 && ended[0].Ended.Before(c.Began); ended = ended[1:] {
			known[ended[0].TaskID] = max(known[ended[0].TaskID], ended[0].Version)
		}
		if c.Version < known[c.TaskID] && c.Operation != history.Create {
			j.violations.add("call %d was shown version %d of task %d after version %d had been acknowledged", c.Number, c.Version, c.TaskID, known[c.TaskID])
		}
	}
}
