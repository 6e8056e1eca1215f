package checker

import (
	"cmp"
	"fmt"
	"slices"

	"example.com/todo/scripts/prove/internal/history"
)

// checkUpdate judges a call that asked for another title or priority.
func (j *clientHistoryChecker) checkUpdate(c *history.Call) string {
	if c.Title == "" {
		return j.checkShownVersion(c, fmt.Sprintf("priority %d", c.Priority), func(e *history.Event) bool { return e.Priority == c.Priority })
	}
	made := j.eventsByTitle[c.Title]
	if wrong := j.checkEffectCount(c, len(made)); wrong != "" {
		return wrong
	}
	for _, e := range made {
		if e.TaskID != c.TaskID || e.Type != updated {
			return fmt.Sprintf("its title came to task %d by %s", e.TaskID, e.Type)
		}
		if e.Priority != c.Priority {
			return fmt.Sprintf("asked for priority %d, it made one of %d", c.Priority, e.Priority)
		}
	}
	if c.Outcome == history.Done && c.Version != 0 && c.Version != made[0].Version {
		return fmt.Sprintf("it made version %d, and the answer shows %d", made[0].Version, c.Version)
	}
	return j.checkShownVersion(c, "its title", func(e *history.Event) bool { return e.Title == c.Title })
}

// checkDoneChange judges a call that asked for a task to be done, or open again.
func (j *clientHistoryChecker) checkDoneChange(c *history.Call) string {
	want := c.Operation == history.Complete
	if c.Outcome == history.Done && c.Version > 0 && c.Done != want {
		return fmt.Sprintf("the answer shows done %t", c.Done)
	}
	return j.checkShownVersion(c, fmt.Sprintf("done %t", want), func(e *history.Event) bool { return e.Done == want })
}

// checkShownVersion judges that the task was, at the version that the answer shows, what was
// asked for; at any version when the answer shows none.
func (j *clientHistoryChecker) checkShownVersion(c *history.Call, what string, as func(*history.Event) bool) string {
	if c.Outcome != history.Done {
		return ""
	}
	if c.Version == 0 {
		if !slices.ContainsFunc(j.eventsByTask[c.TaskID], as) {
			return fmt.Sprintf("the task never had %s", what)
		}
		return ""
	}
	switch e := j.eventAt(c.TaskID, c.Version); {
	case e == nil:
		return fmt.Sprintf("there is no version %d", c.Version)
	case !as(e):
		return fmt.Sprintf("version %d does not have %s", c.Version, what)
	}
	return ""
}

// checkDeletion judges a call that asked for a task to go.
func (j *clientHistoryChecker) checkDeletion(c *history.Call) string {
	if c.Outcome != history.Done {
		return ""
	}
	history := j.eventsByTask[c.TaskID]
	if len(history) == 0 || history[len(history)-1].Type != deleted {
		return "it is not in the history"
	}
	return ""
}

// findUnknownKeys looks for tasks made twice by one key, and keys that nobody sent.
func (j *clientHistoryChecker) findUnknownKeys() {
	tasks := map[int64]string{}
	for _, k := range j.Keys {
		if other, taken := tasks[k.TaskID]; taken {
			j.violations.add("task %d is what the keys %s and %s stand for", k.TaskID, other, k.Key)
		}
		tasks[k.TaskID] = k.Key
		if j.callsByKey[k.Key] == nil {
			j.violations.add("nobody sent the key %s of task %d", k.Key, k.TaskID)
		}
	}
}

// changeKind is what one task has events of, and calls ask for.
type changeKind struct {
	task      int64
	eventType string // a type; updates of the priority alone are counted here, those of a title are known one by one
}

// findUnknownChanges looks for changes that no call can have made. Each try of a
// completion makes one at most, any other call one in all.
func (j *clientHistoryChecker) findUnknownChanges() {
	tries, deletions := map[changeKind]int{}, map[int64]int{}
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
		tries[changeKind{c.TaskID, types[c.Operation]}] += n
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
			s := changeKind{task, e.Type}
			switch {
			case !same && j.callsByTitle[e.Title] == nil:
				j.violations.add("nobody asked for %q, version %d of task %d", e.Title, e.Version, task)
			case same && tries[s] == 0:
				j.violations.add("nobody asked for version %d of task %d, %s", e.Version, task, e.Type)
			case same:
				tries[s]--
			}
		}
	}
}

// findRegressions looks for an answer older than one that was given before its call began.
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
		// A repeated creation is told its first answer again.
		for ; len(ended) > 0 && ended[0].Ended.Before(c.Began); ended = ended[1:] {
			known[ended[0].TaskID] = max(known[ended[0].TaskID], ended[0].Version)
		}
		if c.Version < known[c.TaskID] && c.Operation != history.Create {
			j.violations.add("call %d was shown version %d of task %d, after %d had been answered", c.Number, c.Version, c.TaskID, known[c.TaskID])
		}
	}
}
