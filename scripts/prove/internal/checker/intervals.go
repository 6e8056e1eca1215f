package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// interval is a span of time, both ends included.
type interval struct{ start, end time.Time }

// overlaps reports whether the interval and the given one share a moment.
func (i interval) overlaps(began, ended time.Time) bool {
	return !i.end.Before(began) && !i.start.After(ended)
}

type intervals []interval

// overlap reports whether one of the intervals overlaps the given one.
func (s intervals) overlap(began, ended time.Time) bool {
	return slices.ContainsFunc(s, func(i interval) bool { return i.overlaps(began, ended) })
}

// include reports whether one of the intervals includes the given one.
func (s intervals) include(began, ended time.Time) bool {
	return slices.ContainsFunc(s, func(i interval) bool { return !began.Before(i.start) && !ended.After(i.end) })
}

// faultIntervals returns the intervals of the selected faults, by start, each extended by after.
func (ix *index) faultIntervals(after time.Duration, selected func(history.Fault) bool) intervals {
	var spans intervals
	for _, fault := range ix.Faults {
		if selected(fault) {
			spans = append(spans, interval{fault.Began, fault.Ended.Add(after)})
		}
	}
	return spans
}

func isRedisFlush(fault history.Fault) bool { return fault.Kind == "flush" && fault.Target == "redis" }

// isGraceful reports whether the processes of a fault finish what they have begun.
func isGraceful(fault history.Fault) bool {
	return slices.Contains([]string{"rebalance", "upgrade", "roll back"}, fault.Kind)
}

func isOfTodoService(fault history.Fault) bool {
	return strings.HasPrefix(fault.Target, "todo-service")
}

// callsBegunIn returns the calls that began in the interval and that no client canceled.
func (ix *index) callsBegunIn(span interval) []history.Call {
	return slices.DeleteFunc(slices.Clone(ix.Calls), func(c history.Call) bool {
		return c.ClientCanceled || !span.overlaps(c.Began, c.Began)
	})
}

// isAnswered reports whether the service took the call, or refused it for what it asked rather
// than for a dependency that is down.
func isAnswered(c history.Call) bool {
	refusals := []string{"404", "409", "412", "422", "NotFound", "AlreadyExists", "FailedPrecondition", "Aborted"}
	return c.Outcome == history.Done || c.Outcome == history.Refused && slices.Contains(refusals, c.Status)
}
