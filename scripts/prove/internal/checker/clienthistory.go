package checker

import (
	"fmt"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// eventTypes has the type of the event that an operation makes.
var eventTypes = map[history.Operation]string{
	history.Create: created, history.Update: updated, history.Complete: completed, history.Reopen: reopened,
	history.Delete: deleted,
}

// clientHistoryChecker is the state of checkClientHistory.
type clientHistoryChecker struct {
	*index
	*violations
	storedKeys                                        map[string]history.Key
	callsByKey                                        map[string]int // numbers, by Idempotency-Key
	callsByTitle                                      map[string]int
	deletions                                         map[int64]bool // tasks with an acknowledged deletion
	keyedCreations, unknownApplied, unknownNotApplied int
}

// checkClientHistory compares the clients' calls with the events of their tasks in both directions.
func checkClientHistory(ix *index, found *violations) string {
	j := &clientHistoryChecker{
		index: ix, violations: found, storedKeys: map[string]history.Key{},
		callsByKey: map[string]int{}, callsByTitle: map[string]int{}, deletions: map[int64]bool{},
	}
	for _, k := range ix.Keys {
		j.storedKeys[k.Key] = k
	}
	for _, c := range ix.Calls {
		j.register(j.callsByKey, storedKey(c), c.Number)
		j.register(j.callsByTitle, c.Title, c.Number)
		if wrong := j.explainWrongEffect(c); wrong != "" {
			found.add("call %d (%s task %d, %s): %s", c.Number, c.Operation, c.TaskID, c.Outcome, wrong)
		}
	}
	for _, k := range ix.Keys {
		if _, sent := j.callsByKey[k.Key]; !sent {
			found.add("no client sent the key %s of task %d", k.Key, k.TaskID)
		}
	}
	j.findUnknownChanges()
	j.findRegressions()
	return sprintf("%d calls, %d creations judged by their key; of the unknown calls %d took effect, %d did not",
		len(ix.Calls), j.keyedCreations, j.unknownApplied, j.unknownNotApplied)
}

// storedKey returns the Idempotency-Key of a call as the database has it, "" for none. Each user has
// keys of its own.
func storedKey(c history.Call) string {
	if c.Key == "" || c.User == 0 {
		return c.Key
	}
	return fmt.Sprintf("%d %s", c.User, c.Key)
}

// register keeps the call of a key or title, which no other call may have.
func (j *clientHistoryChecker) register(calls map[string]int, unique string, number int) {
	if unique == "" {
		return
	}
	if other, taken := calls[unique]; taken {
		j.add("calls %d and %d both have %q: a defect of the workload", other, number, unique)
	}
	calls[unique] = number
}

// explainWrongEffect returns how the call's effect differs from what it asked for and was shown,
// or "".
func (j *clientHistoryChecker) explainWrongEffect(c history.Call) string {
	events := j.eventsByTask[c.TaskID]
	switch {
	case eventTypes[c.Operation] == "":
		return "no such operation"
	case c.Title != "":
		return j.explainWrongTitle(c)
	case c.Outcome != history.Done:
		return ""
	case c.Operation == history.Update:
		what := fmt.Sprintf("priority %d", c.Priority)
		return j.explainWrongVersion(c, what, func(e *history.Event) bool { return e.Priority == c.Priority })
	case c.Operation != history.Delete:
		want := c.Operation == history.Complete
		if c.Version > 0 && c.Done != want {
			return fmt.Sprintf("the response shows done %t", c.Done)
		}
		return j.explainWrongVersion(c, fmt.Sprintf("done %t", want), func(e *history.Event) bool { return e.Done == want })
	case len(events) == 0 || events[len(events)-1].Type != deleted:
		return "it has no event"
	case j.deletions[c.TaskID]:
		return "another call deleted the task"
	}
	j.deletions[c.TaskID] = true
	return ""
}

// explainWrongTitle judges a creation or update with a title of its own. Retries do not excuse a
// second effect: a creation has its key, and an update that may have been made is not repeated.
func (j *clientHistoryChecker) explainWrongTitle(c history.Call) string {
	events := j.eventsByTitle[c.Title]
	switch {
	case c.Outcome == history.Refused && len(events) > 0:
		return "it took effect"
	case c.Outcome == history.Done && len(events) == 0:
		return "it has no event"
	case len(events) > 1:
		return fmt.Sprintf("it took effect %d times", len(events))
	}
	var e history.Event // zero if the call had no effect
	if len(events) > 0 {
		e = *events[0]
	}
	if c.Outcome == history.Unknown && e.ID == "" {
		j.unknownNotApplied++
	} else if c.Outcome == history.Unknown {
		j.unknownApplied++
	}
	if c.Key != "" {
		j.keyedCreations++
		if k := j.storedKeys[storedKey(c)]; k.TaskID != e.Task.ID || k.EventID != e.ID {
			return fmt.Sprintf("its key belongs to task %d, and it made task %d (0 is none)", k.TaskID, e.Task.ID)
		}
	}
	switch {
	case e.ID == "":
		return ""
	case e.Type != eventTypes[c.Operation], c.TaskID != 0 && c.TaskID != e.Task.ID:
		return fmt.Sprintf("its title was given to task %d by %s", e.Task.ID, e.Type)
	case c.Outcome == history.Done && c.TaskID == 0:
		return "the response names no task"
	case c.Priority != e.Priority:
		return fmt.Sprintf("it asked for priority %d, its event has %d", c.Priority, e.Priority)
	case c.Outcome == history.Done && c.Version != 0 && c.Version != e.Version:
		return fmt.Sprintf("it made version %d, and the response shows %d", e.Version, c.Version)
	}
	return ""
}

// explainWrongVersion judges whether the version in the response has what the call asked for. If
// the response shows no version, any version of the task may have it.
func (ix *index) explainWrongVersion(c history.Call, what string, holds func(*history.Event) bool) string {
	e := ix.eventsByVersion[taskVersion{c.TaskID, c.Version}]
	switch {
	case c.Version == 0 && !slices.ContainsFunc(ix.eventsByTask[c.TaskID], holds):
		return fmt.Sprintf("the task never had %s", what)
	case c.Version == 0:
		return ""
	case e == nil:
		return fmt.Sprintf("there is no version %d", c.Version)
	case !holds(e):
		return fmt.Sprintf("version %d does not have %s", c.Version, what)
	}
	return ""
}

// findUnknownChanges reports changes that no call can have made. Each attempt of a completion
// makes one change at most, any other call one in total.
func (j *clientHistoryChecker) findUnknownChanges() {
	type change struct {
		task      int64
		eventType string
	}
	allowed := map[change]int{} // changes that set no title of their own
	for _, c := range j.Calls {
		if c.Outcome == history.Refused || c.Title != "" {
			continue
		}
		n := 1
		if c.Operation == history.Complete {
			n = max(1, c.Tries)
		}
		allowed[change{c.TaskID, eventTypes[c.Operation]}] += n
	}
	for _, task := range sortedKeys(j.eventsByTask) {
		title := ""
		for _, e := range j.eventsByTask[task] {
			made := change{task, e.Type}
			_, asked := j.callsByTitle[e.Title]
			switch {
			case e.Title == title && allowed[made] > 0:
				allowed[made]--
			case e.Title == title || !asked:
				j.add("no client asked for version %d of task %d, %s, %q", e.Version, task, e.Type, e.Title)
			}
			title = e.Title
		}
	}
}

// findRegressions reports responses older than a response that was given before their call began.
// A repeated creation gets its first response again, so creations are not judged.
func (j *clientHistoryChecker) findRegressions() {
	shown := slices.DeleteFunc(slices.Clone(j.Calls), func(c history.Call) bool {
		return c.Outcome != history.Done || c.Version == 0
	})
	known := newAcknowledged(shown)
	for _, c := range sortedBy(shown, func(c history.Call) time.Time { return c.Began }) {
		known.advance(c.Began)
		if version := known.versions[c.TaskID]; c.Version < version && c.Operation != history.Create {
			j.add("call %d was shown version %d of task %d after version %d had been acknowledged",
				c.Number, c.Version, c.TaskID, version)
		}
	}
}
