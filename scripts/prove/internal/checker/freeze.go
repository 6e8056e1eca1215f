package checker

import (
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// takeoverTimeout is how long the other replica may need to take over from a frozen relay.
const takeoverTimeout = 20 * time.Second

// checkFreeze measures how long events waited for the topic whose calls succeeded while a replica
// of todo-service was frozen.
func checkFreeze(ix *index, found *violations) string {
	isFreeze := func(fault history.Fault) bool { return fault.Kind == "freeze" && isOfTodoService(fault) }
	frozen := ix.faultIntervals(0, isFreeze)
	otherFaults := ix.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "kafka" || fault.Target == "postgres" || isOfTodoService(fault) && !isFreeze(fault)
	})
	judged, excused := 0, 0
	var longest time.Duration
	for _, c := range ix.Calls {
		e := ix.eventMadeBy(c)
		if e == nil || ix.firstRecords[e.ID] == nil || !frozen.include(e.At, c.Ended) {
			continue // check "events" reports missing records
		}
		waited := ix.firstRecords[e.ID].Time.Sub(e.At)
		// Another fault excuses a late event only if it overlaps the time allowed for the
		// takeover.
		if waited > takeoverTimeout && otherFaults.overlap(e.At, e.At.Add(takeoverTimeout)) {
			excused++
			continue
		}
		judged++
		longest = max(longest, waited)
		if waited > takeoverTimeout {
			found.add("version %d of task %d, committed at %s, was published after %s",
				e.Version, e.Task.ID, formatTime(e.At), waited.Round(time.Millisecond))
		}
	}
	if ix.expectsFault("freeze", "todo-service", 0) && judged == 0 {
		found.add("no call succeeded while a replica was frozen without another fault")
	}
	if len(frozen) > 0 {
		ix.requireBrokerTimes(found)
	}
	return sprintf("longest wait %s of %d events in %d freezes; %d longer waits excused by another fault",
		longest.Round(time.Millisecond), judged, len(frozen), excused)
}

// eventMadeBy returns the event that the call made, or nil if another call may have made it.
func (ix *index) eventMadeBy(c history.Call) *history.Event {
	if c.Outcome != history.Done {
		return nil
	}
	if made := ix.eventsByTitle[c.Title]; c.Title != "" && len(made) > 0 {
		return made[0]
	}
	// An event from before the call began belongs to another call.
	if e := ix.eventsByVersion[taskVersion{c.TaskID, c.Version}]; e != nil && !e.At.Before(c.Began) {
		return e
	}
	return nil
}

// requireBrokerTimes reports a topic whose records have the producer's timestamps, and not the
// broker's.
func (ix *index) requireBrokerTimes(found *violations) {
	for _, r := range ix.firstRecords {
		if !r.Time.Equal(r.event.At.Truncate(time.Millisecond)) {
			return
		}
	}
	if len(ix.firstRecords) > 0 {
		found.add("the topic keeps its producers' timestamps: message.timestamp.type must be LogAppendTime")
	}
}
