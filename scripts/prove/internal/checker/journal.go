package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// journal compares what clients were told with the history of their tasks.
func journal(f *facts) Row {
	var bad findings
	j := newJournal(f, &bad)
	for i := range f.Journal {
		c := &f.Journal[i]
		var wrong string
		switch c.Operation {
		case history.Create:
			wrong = j.creation(c)
		case history.Change:
			wrong = j.change(c)
		case history.Complete, history.Reopen:
			wrong = j.turn(c)
		case history.Delete:
			wrong = j.deletion(c)
		default:
			wrong = "no such operation"
		}
		if wrong != "" {
			bad.add("call %d (%s task %d, %s): %s", c.Number, c.Operation, c.TaskID, c.Outcome, wrong)
		}
	}
	j.keysOfNobody()
	j.changesOfNobody()
	j.stepsBack()
	return bad.row("journal", "what was answered as done is in the history once, what was refused is not, and nothing else is",
		"%s calls, of %s creations by their key; %s unknown calls happened, %s did not",
		count(len(f.Journal)), count(j.byKey), count(j.happened), count(j.vanished))
}

// told compares the journal with the history.
type told struct {
	*facts
	bad                       *findings
	keys                      map[string]*history.Key
	asked                     map[string]*history.Call // by Idempotency-Key
	titles                    map[string]*history.Call
	byKey, happened, vanished int
}

func newJournal(f *facts, bad *findings) *told {
	j := &told{
		facts: f, bad: bad, keys: map[string]*history.Key{},
		asked: map[string]*history.Call{}, titles: map[string]*history.Call{},
	}
	for i := range f.Keys {
		j.keys[f.Keys[i].Key] = &f.Keys[i]
	}
	for i := range f.Journal {
		c := &f.Journal[i]
		if c.Key != "" {
			if other := j.asked[c.Key]; other != nil {
				bad.add("calls %d and %d have the same key: the workload is at fault", other.Number, c.Number)
			}
			j.asked[c.Key] = c
		}
		if c.Title != "" {
			if other := j.titles[c.Title]; other != nil {
				bad.add("calls %d and %d ask for the same title: the workload is at fault", other.Number, c.Number)
			}
			j.titles[c.Title] = c
		}
	}
	return j
}

// creation judges a call that asked for a task.
func (j *told) creation(c *history.Call) string {
	made := j.introduced[c.Title]
	if wrong := j.often(c, len(made)); wrong != "" {
		return wrong
	}
	if c.Key != "" {
		if wrong := j.key(c, made); wrong != "" {
			return wrong
		}
	}
	if len(made) == 0 {
		return ""
	}
	switch e := made[0]; {
	case e.Type != created:
		return fmt.Sprintf("its title came to task %d by %s", e.TaskID, e.Type)
	case c.TaskID != 0 && c.TaskID != e.TaskID:
		return fmt.Sprintf("it made task %d", e.TaskID)
	case c.Outcome == history.Done && c.TaskID == 0:
		return "the answer names no task"
	case c.Priority != e.Priority:
		return fmt.Sprintf("asked for priority %d, it made one of %d", c.Priority, e.Priority)
	}
	return ""
}

// key judges what is remembered of a creation's Idempotency-Key.
func (j *told) key(c *history.Call, made []*history.Event) string {
	j.byKey++
	k := j.keys[c.Key]
	switch {
	case k == nil && len(made) == 0:
		return ""
	case k == nil:
		return fmt.Sprintf("it made task %d, and its key is not known", made[0].TaskID)
	case len(made) == 0:
		return fmt.Sprintf("its key stands for task %d, and it made none", k.TaskID)
	case k.TaskID != made[0].TaskID || k.EventID != made[0].ID:
		return fmt.Sprintf("its key stands for task %d, and it made %d", k.TaskID, made[0].TaskID)
	}
	return ""
}

// often judges how many times a call took effect that is known by its title. Its
// tries do not excuse a second time: a creation has its key, and a change is not
// tried again when it may have happened.
func (j *told) often(c *history.Call, times int) string {
	switch {
	case c.Outcome == history.Unknown && times == 0:
		j.vanished++
	case c.Outcome == history.Unknown:
		j.happened++
	case c.Outcome == history.Refused && times > 0:
		return "it happened"
	case c.Outcome == history.Done && times == 0:
		return "it is not in the history"
	}
	if times > 1 {
		return fmt.Sprintf("it happened %d times", times)
	}
	return ""
}
