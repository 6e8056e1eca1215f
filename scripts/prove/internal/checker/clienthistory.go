package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// checkClientHistory compares the clients' calls with the events of their tasks in both directions.
func checkClientHistory(ix *index) Check {
	var found violations
	j := newClientHistoryChecker(ix, &found)
	for i := range ix.Calls {
		c := &ix.Calls[i]
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
			found.add("call %d (%s task %d, %s): %s", c.Number, c.Operation, c.TaskID, c.Outcome, wrong)
		}
	}
	j.findUnknownKeys()
	j.findUnknownChanges()
	j.findRegressions()
	return found.check("client-history", "an acknowledged change has one event, a refused change none, and there is no other event",
		"%s calls, %s creations judged by their key; of the unknown calls %s took effect, %s did not",
		groupThousands(len(ix.Calls)), groupThousands(j.keyedCreations), groupThousands(j.unknownApplied), groupThousands(j.unknownNotApplied))
}

// clientHistoryChecker is the state of checkClientHistory.
type clientHistoryChecker struct {
	*index
	violations                                        *violations
	storedKeys                                        map[string]*history.Key
	callsByKey                                        map[string]*history.Call // by Idempotency-Key
	callsByTitle                                      map[string]*history.Call
	keyedCreations, unknownApplied, unknownNotApplied int
}

func newClientHistoryChecker(ix *index, found *violations) *clientHistoryChecker {
	j := &clientHistoryChecker{
		index: ix, violations: found, storedKeys: map[string]*history.Key{},
		callsByKey: map[string]*history.Call{}, callsByTitle: map[string]*history.Call{},
	}
	for i := range ix.Keys {
		j.storedKeys[ix.Keys[i].Key] = &ix.Keys[i]
	}
	for i := range ix.Calls {
		c := &ix.Calls[i]
		if c.Key != "" {
			if other := j.callsByKey[c.Key]; other != nil {
				found.add("calls %d and %d have the same key: a defect of the workload", other.Number, c.Number)
			}
			j.callsByKey[c.Key] = c
		}
		if c.Title != "" {
			if other := j.callsByTitle[c.Title]; other != nil {
				found.add("calls %d and %d ask for the same title: a defect of the workload", other.Number, c.Number)
			}
			j.callsByTitle[c.Title] = c
		}
	}
	return j
}

// checkCreation checks a call that asked for a new task.
func (j *clientHistoryChecker) checkCreation(c *history.Call) string {
	events := j.eventsByTitle[c.Title]
	if wrong := j.checkEffectCount(c, len(events)); wrong != "" {
		return wrong
	}
	if c.Key != "" {
		if wrong := j.checkKey(c, events); wrong != "" {
			return wrong
		}
	}
	if len(events) == 0 {
		return ""
	}
	switch e := events[0]; {
	case e.Type != created:
		return fmt.Sprintf("its title was given to task %d by %s", e.TaskID, e.Type)
	case c.TaskID != 0 && c.TaskID != e.TaskID:
		return fmt.Sprintf("it made task %d", e.TaskID)
	case c.Outcome == history.Done && c.TaskID == 0:
		return "the response names no task"
	case c.Priority != e.Priority:
		return fmt.Sprintf("it asked for priority %d, its event has %d", c.Priority, e.Priority)
	}
	return ""
}

// checkKey checks the row of a creation's Idempotency-Key.
func (j *clientHistoryChecker) checkKey(c *history.Call, events []*history.Event) string {
	j.keyedCreations++
	k := j.storedKeys[c.Key]
	switch {
	case k == nil && len(events) == 0:
		return ""
	case k == nil:
		return fmt.Sprintf("it made task %d, and its key is not stored", events[0].TaskID)
	case len(events) == 0:
		return fmt.Sprintf("its key belongs to task %d, and it made none", k.TaskID)
	case k.TaskID != events[0].TaskID || k.EventID != events[0].ID:
		return fmt.Sprintf("its key belongs to task %d, and it made task %d", k.TaskID, events[0].TaskID)
	}
	return ""
}

// checkEffectCount checks how often a call with a title of its own took effect. Retries do not
// excuse a second effect: a creation has its key, and an update that may have been made is not
// repeated.
func (j *clientHistoryChecker) checkEffectCount(c *history.Call, times int) string {
	switch {
	case c.Outcome == history.Unknown && times == 0:
		j.unknownNotApplied++
	case c.Outcome == history.Unknown:
		j.unknownApplied++
	case c.Outcome == history.Refused && times > 0:
		return "it took effect"
	case c.Outcome == history.Done && times == 0:
		return "it has no event"
	}
	if times > 1 {
		return fmt.Sprintf("it took effect %d times", times)
	}
	return ""
}
