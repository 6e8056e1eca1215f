package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// takeoverTimeout is how long the other replica may need to take over from a frozen relay.
const takeoverTimeout = 20 * time.Second

// checkFreeze measures how long events waited for the topic whose calls succeeded while a replica
// of todo-service was frozen.
func checkFreeze(ix *index) Check {
	var found violations
	frozen := ix.faultIntervals(0, isTodoFreeze)
	otherFaults := ix.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "kafka" || fault.Target == "postgres" || strings.HasPrefix(fault.Target, "todo-service") && !isTodoFreeze(fault)
	})
	judged, excused := 0, 0
	var longest time.Duration
	for i := range ix.Calls {
		c := &ix.Calls[i]
		e := ix.eventMadeBy(c)
		if e == nil || !slices.ContainsFunc(frozen, func(s interval) bool { return !e.At.Before(s.start) && !c.Ended.After(s.end) }) {
			continue
		}
		first := ix.firstRecords[e.ID]
		if first == nil {
			continue // check "events" reports it
		}
		waited := first.Time.Sub(e.At)
		// Another fault excuses a late event only if it overlaps the time allowed for the
		// takeover.
		if waited > takeoverTimeout && slices.ContainsFunc(otherFaults, func(s interval) bool { return s.overlaps(e.At, e.At.Add(takeoverTimeout)) }) {
			excused++
			continue
		}
		judged++
		longest = max(longest, waited)
		if waited > takeoverTimeout {
			found.add("version %d of task %d, committed at %s, was published after %s", e.Version, e.TaskID, formatTime(e.At), waited.Round(time.Millisecond))
		}
	}
	if ix.expectsFault("freeze", "todo-service", 0) && judged == 0 {
		found.add("no call succeeded while a replica was frozen without another fault")
	}
	if len(frozen) > 0 && !ix.hasBrokerTimes() {
		found.add("the topic keeps its producers' timestamps: message.timestamp.type must be LogAppendTime")
	}
	return found.check("freeze", "when a replica of todo-service is frozen, the other relays within 20 s",
		"longest wait %s of %s events in %d freezes; %s longer waits excused by another fault",
		longest.Round(time.Millisecond), groupThousands(judged), len(frozen), groupThousands(excused))
}

func isTodoFreeze(fault history.Fault) bool {
	return fault.Kind == "freeze" && strings.HasPrefix(fault.Target, "todo-service")
}

// eventMadeBy returns the event that the call made, or nil if another call may have made it.
func (ix *index) eventMadeBy(c *history.Call) *history.Event {
	if c.Outcome != history.Done {
		return nil
	}
	if c.Title != "" {
		if made := ix.eventsByTitle[c.Title]; len(made) > 0 {
			return made[0]
		}
		return nil
	}
	// An event from before the call began belongs to another call.
	if e := ix.eventAt(c.TaskID, c.Version); e != nil && !e.At.Before(c.Began) {
		return e
	}
	return nil
}
