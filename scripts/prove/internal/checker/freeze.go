package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// takeover is how long the others may need to notice that the one who relays is frozen.
const takeover = 20 * time.Second

// freeze measures how long events waited for the topic that were answered while a
// replica of todo-service was frozen.
func freeze(f *facts) Row {
	var bad findings
	frozen := f.spans(0, frozenService)
	others := f.spans(0, func(fault history.Fault) bool {
		return fault.Target == "kafka" || fault.Target == "postgres" || strings.HasPrefix(fault.Target, "todo-service") && !frozenService(fault)
	})
	judged, apart := 0, 0
	var longest time.Duration
	for i := range f.Journal {
		c := &f.Journal[i]
		e := f.answered(c)
		if e == nil || !slices.ContainsFunc(frozen, func(s span) bool { return !e.At.Before(s.began) && !c.Ended.After(s.ended) }) {
			continue
		}
		first := f.firsts[e.ID]
		if first == nil {
			continue // the row of events says so
		}
		waited := first.Time.Sub(e.At)
		// Only a fault within the time that it had excuses it.
		if waited > takeover && slices.ContainsFunc(others, func(s span) bool { return s.meets(e.At, e.At.Add(takeover)) }) {
			apart++
			continue
		}
		judged++
		longest = max(longest, waited)
		if waited > takeover {
			bad.add("version %d of task %d, committed at %s, came after %s", e.Version, e.TaskID, stamp(e.At), waited.Round(time.Millisecond))
		}
	}
	if f.expects("freeze", "todo-service", 0) && judged == 0 {
		bad.add("nothing was answered while a replica was frozen and all else was well")
	}
	if len(frozen) > 0 && !f.timed() {
		bad.add("the topic keeps its producers' times: message.timestamp.type has to be LogAppendTime")
	}
	return bad.row("freeze", "with a replica of todo-service frozen another relays within 20 s",
		"longest wait %s of %s events in %d freezes; %s waited longer while something else was faulted too",
		longest.Round(time.Millisecond), count(judged), len(frozen), count(apart))
}

func frozenService(fault history.Fault) bool {
	return fault.Kind == "freeze" && strings.HasPrefix(fault.Target, "todo-service")
}

// answered returns the event that a call made, when it is sure that it was this call.
func (f *facts) answered(c *history.Call) *history.Event {
	if c.Outcome != history.Done {
		return nil
	}
	if c.Title != "" {
		if made := f.introduced[c.Title]; len(made) > 0 {
			return made[0]
		}
		return nil
	}
	// One that was made before the call began is what another call made.
	if e := f.at(c.TaskID, c.Version); e != nil && !e.At.Before(c.Began) {
		return e
	}
	return nil
}
