package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// takeoverTimeout is how long the others may need to notice that the one who relays is frozen.
const takeoverTimeout = 20 * time.Second

// checkFreeze measures how long events waited for the topic that were answered while a
// replica of todo-service was frozen.
func checkFreeze(f *index) Check {
	var bad violations
	frozen := f.faultIntervals(0, isTodoFreeze)
	others := f.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "kafka" || fault.Target == "postgres" || strings.HasPrefix(fault.Target, "todo-service") && !isTodoFreeze(fault)
	})
	judged, apart := 0, 0
	var longest time.Duration
	for i := range f.Calls {
		c := &f.Calls[i]
		e := f.eventMadeBy(c)
		if e == nil || !slices.ContainsFunc(frozen, func(s interval) bool { return !e.At.Before(s.start) && !c.Ended.After(s.end) }) {
			continue
		}
		first := f.firstRecords[e.ID]
		if first == nil {
			continue // the row of events says so
		}
		waited := first.Time.Sub(e.At)
		// Only a fault within the time that it had excuses it.
		if waited > takeoverTimeout && slices.ContainsFunc(others, func(s interval) bool { return s.overlaps(e.At, e.At.Add(takeoverTimeout)) }) {
			apart++
			continue
		}
		judged++
		longest = max(longest, waited)
		if waited > takeoverTimeout {
			bad.add("version %d of task %d, committed at %s, came after %s", e.Version, e.TaskID, formatTime(e.At), waited.Round(time.Millisecond))
		}
	}
	if f.expectsFault("freeze", "todo-service", 0) && judged == 0 {
		bad.add("nothing was answered while a replica was frozen and all else was well")
	}
	if len(frozen) > 0 && !f.hasBrokerTimes() {
		bad.add("the topic keeps its producers' times: message.timestamp.type has to be LogAppendTime")
	}
	return bad.check("freeze", "with a replica of todo-service frozen another relays within 20 s",
		"longest wait %s of %s events in %d freezes; %s waited longer while something else was faulted too",
		longest.Round(time.Millisecond), groupThousands(judged), len(frozen), groupThousands(apart))
}

func isTodoFreeze(fault history.Fault) bool {
	return fault.Kind == "freeze" && strings.HasPrefix(fault.Target, "todo-service")
}

// eventMadeBy returns the event that a call made, when it is sure that it was this call.
func (f *index) eventMadeBy(c *history.Call) *history.Event {
	if c.Outcome != history.Done {
		return nil
	}
	if c.Title != "" {
		if made := f.eventsByTitle[c.Title]; len(made) > 0 {
			return made[0]
		}
		return nil
	}
	// One that was made before the call began is what another call made.
	if e := f.eventAt(c.TaskID, c.Version); e != nil && !e.At.Before(c.Began) {
		return e
	}
	return nil
}
