package checker

import (
	"cmp"
	"fmt"
	"slices"

	"example.com/todo/scripts/prove/internal/history"
)

// change judges a call that asked for another title or priority.
func (j *told) change(c *history.Call) string {
	if c.Title == "" {
		return j.state(c, fmt.Sprintf("priority %d", c.Priority), func(e *history.Event) bool { return e.Priority == c.Priority })
	}
	made := j.introduced[c.Title]
	if wrong := j.often(c, len(made)); wrong != "" {
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
	return j.state(c, "its title", func(e *history.Event) bool { return e.Title == c.Title })
}

// turn judges a call that asked for a task to be done, or open again.
func (j *told) turn(c *history.Call) string {
	want := c.Operation == history.Complete
	if c.Outcome == history.Done && c.Version > 0 && c.Done != want {
		return fmt.Sprintf("the answer shows done %t", c.Done)
	}
	return j.state(c, fmt.Sprintf("done %t", want), func(e *history.Event) bool { return e.Done == want })
}

// state judges that the task was, at the version that the answer shows, what was
// asked for; at any version when the answer shows none.
func (j *told) state(c *history.Call, what string, as func(*history.Event) bool) string {
	if c.Outcome != history.Done {
		return ""
	}
	if c.Version == 0 {
		if !slices.ContainsFunc(j.histories[c.TaskID], as) {
			return fmt.Sprintf("the task never had %s", what)
		}
		return ""
	}
	switch e := j.at(c.TaskID, c.Version); {
	case e == nil:
		return fmt.Sprintf("there is no version %d", c.Version)
	case !as(e):
		return fmt.Sprintf("version %d does not have %s", c.Version, what)
	}
	return ""
}

// deletion judges a call that asked for a task to go.
func (j *told) deletion(c *history.Call) string {
	if c.Outcome != history.Done {
		return ""
	}
	history := j.histories[c.TaskID]
	if len(history) == 0 || history[len(history)-1].Type != deleted {
		return "it is not in the history"
	}
	return ""
}

// keysOfNobody looks for tasks made twice by one key, and keys that nobody sent.
func (j *told) keysOfNobody() {
	tasks := map[int64]string{}
	for _, k := range j.Keys {
		if other, taken := tasks[k.TaskID]; taken {
			j.bad.add("task %d is what the keys %s and %s stand for", k.TaskID, other, k.Key)
		}
		tasks[k.TaskID] = k.Key
		if j.asked[k.Key] == nil {
			j.bad.add("nobody sent the key %s of task %d", k.Key, k.TaskID)
		}
	}
}

// sort is what one task has events of, and calls ask for.
type sort struct {
	task int64
	of   string // a type; updates of the priority alone are counted here, those of a title are known one by one
}

// changesOfNobody looks for changes that no call can have made. Each try of a
// completion makes one at most, any other call one in all.
func (j *told) changesOfNobody() {
	tries, deletions := map[sort]int{}, map[int64]int{}
	types := map[history.Operation]string{
		history.Change: updated, history.Complete: completed, history.Reopen: reopened, history.Delete: deleted,
	}
	for i := range j.Journal {
		c := &j.Journal[i]
		if c.Outcome == history.Refused || c.Title != "" {
			continue
		}
		n := 1
		if c.Operation == history.Complete {
			n = max(1, c.Tries)
		}
		tries[sort{c.TaskID, types[c.Operation]}] += n
		if c.Operation == history.Delete && c.Outcome == history.Done {
			deletions[c.TaskID]++
		}
	}
	for task, n := range deletions {
		if n > 1 {
			j.bad.add("task %d was deleted %d times", task, n)
		}
	}
	for _, task := range inOrder(j.histories) {
		title := ""
		for _, e := range j.histories[task] {
			same := e.Title == title
			title = e.Title
			s := sort{task, e.Type}
			switch {
			case !same && j.titles[e.Title] == nil:
				j.bad.add("nobody asked for %q, version %d of task %d", e.Title, e.Version, task)
			case same && tries[s] == 0:
				j.bad.add("nobody asked for version %d of task %d, %s", e.Version, task, e.Type)
			case same:
				tries[s]--
			}
		}
	}
}

// stepsBack looks for an answer older than one that was given before its call began.
func (j *told) stepsBack() {
	var ended, began []*history.Call
	for i := range j.Journal {
		if c := &j.Journal[i]; c.Outcome == history.Done && c.Version > 0 {
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
			j.bad.add("call %d was shown version %d of task %d, after %d had been answered", c.Number, c.Version, c.TaskID, known[c.TaskID])
		}
	}
}
