package checker

import (
	"math"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// acknowledged is, for one moment, the highest version of each task that a client has been shown.
type acknowledged struct {
	calls    []history.Call // not yet applied by advance, by end
	versions map[int64]int64
}

func newAcknowledged(calls []history.Call) *acknowledged {
	byEnd := sortedBy(calls, func(c history.Call) time.Time { return c.Ended })
	return &acknowledged{calls: byEnd, versions: map[int64]int64{}}
}

// advance applies the calls that ended before t. Successive calls need ascending times.
func (a *acknowledged) advance(t time.Time) {
	for ; len(a.calls) > 0 && a.calls[0].Ended.Before(t); a.calls = a.calls[1:] {
		c := a.calls[0]
		a.versions[c.TaskID] = max(a.versions[c.TaskID], c.Version)
	}
}

// deletedVersion is the version of a deleted task. It is the highest number, so a list without
// the task is never stale.
const deletedVersion = math.MaxInt64

// lateEffectTime is how long after its end a call without a response may still take effect.
const lateEffectTime = 10 * time.Second

// authorCalls returns the calls on hot tasks whose version every list must show that is requested
// after their end. Read-your-writes is only promised to the client that made a change and got its
// response. A client that merely observed the change is promised nothing.
func authorCalls(hot []history.Call) []history.Call {
	shown, unknown := map[taskVersion][]history.Call{}, map[int64]intervals{}
	for _, c := range hot {
		switch v := (taskVersion{c.TaskID, c.Version}); c.Outcome {
		case history.Unknown:
			unknown[c.TaskID] = append(unknown[c.TaskID], interval{c.Began, c.Ended.Add(lateEffectTime)})
		case history.Done:
			shown[v] = append(shown[v], c)
		}
	}
	// Several calls may be shown the same version, and one of them made it. The author certainly
	// has its response when the last of these calls has, unless an attempt without a response may
	// have made the version.
	isLast := func(c history.Call) bool {
		return c.Version > 0 && !unknown[c.TaskID].overlap(c.Began, c.Ended) &&
			!slices.ContainsFunc(shown[taskVersion{c.TaskID, c.Version}], func(other history.Call) bool {
				return other.Tries > 1 || other.Ended.After(c.Ended)
			})
	}
	var calls []history.Call
	for _, c := range hot {
		isAuthor := isLast(c)
		switch {
		case c.Operation == history.Update && c.Title != "":
			isAuthor = true // the title is unique, and an update is not repeated when it may have been made
		case c.Operation == history.Delete:
			isAuthor, c.Version = c.Tries == 1, deletedVersion
		case c.Operation == history.Create:
			isAuthor = c.Tries == 1
		}
		if isAuthor && c.Outcome == history.Done {
			calls = append(calls, c)
		}
	}
	return calls
}
