package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkClientHistory compares what clients were told with the history of their tasks.
func checkClientHistory(f *index) Check {
	var bad violations
	j := newClientHistoryChecker(f, &bad)
	for i := range f.Calls {
		c := &f.Calls[i]
		var wrong string
		switch c.Operation {
		case history.Create:
			wrong = j.checkCreation(c)
		case history.Update:
			wrong = j.checkUpdate(c)
		case history.Complete, history.Reopen:
			wrong = j.checkDoneChange(c)
		case history.Delete:
			wrong = j.checkDeletion(c)
		default:
			wrong = "no such operation"
		}
		if wrong != "" {
			bad.add("call %d (%s task %d, %s): %s", c.Number, c.Operation, c.TaskID, c.Outcome, wrong)
		}
	}
	j.findUnknownKeys()
	j.findUnknownChanges()
	j.findRegressions()
	return bad.check("journal", "what was answered as done is in the history once, what was refused is not, and nothing else is",
		"%s calls, of %s creations by their key; %s unknown calls happened, %s did not",
		groupThousands(len(f.Calls)), groupThousands(j.keyedCreations), groupThousands(j.unknownApplied), groupThousands(j.unknownNotApplied))
}

// clientHistoryChecker compares the journal with the history.
type clientHistoryChecker struct {
	*index
	violations                                        *violations
	keysByName                                        map[string]*history.Key
	callsByKey                                        map[string]*history.Call // by Idempotency-Key
	callsByTitle                                      map[string]*history.Call
	keyedCreations, unknownApplied, unknownNotApplied int
}

func newClientHistoryChecker(f *index, bad *violations) *clientHistoryChecker {
	j := &clientHistoryChecker{
		index: f, violations: bad, keysByName: map[string]*history.Key{},
		callsByKey: map[string]*history.Call{}, callsByTitle: map[string]*history.Call{},
	}
	for i := range f.Keys {
		j.keysByName[f.Keys[i].Key] = &f.Keys[i]
	}
	for i := range f.Calls {
		c := &f.Calls[i]
		if c.Key != "" {
			if other := j.callsByKey[c.Key]; other != nil {
				bad.add("calls %d and %d have the same key: the workload is at fault", other.Number, c.Number)
			}
			j.callsByKey[c.Key] = c
		}
		if c.Title != "" {
			if other := j.callsByTitle[c.Title]; other != nil {
				bad.add("calls %d and %d ask for the same title: the workload is at fault", other.Number, c.Number)
			}
			j.callsByTitle[c.Title] = c
		}
	}
	return j
}

// checkCreation judges a call that asked for a task.
func (j *clientHistoryChecker) checkCreation(c *history.Call) string {
	made := j.eventsByTitle[c.Title]
	if wrong := j.checkEffectCount(c, len(made)); wrong != "" {
		return wrong
	}
	if c.Key != "" {
		if wrong := j.checkKey(c, made); wrong != "" {
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

// checkKey judges what is remembered of a creation's Idempotency-Key.
func (j *clientHistoryChecker) checkKey(c *history.Call, made []*history.Event) string {
	j.keyedCreations++
	k := j.keysByName[c.Key]
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

// checkEffectCount judges how many times a call took effect that is known by its title. Its
// tries do not excuse a second time: a creation has its key, and a change is not
// tried again when it may have happened.
func (j *clientHistoryChecker) checkEffectCount(c *history.Call, times int) string {
	switch {
	case c.Outcome == history.Unknown && times == 0:
		j.unknownNotApplied++
	case c.Outcome == history.Unknown:
		j.unknownApplied++
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
