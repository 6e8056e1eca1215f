package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	minOutage        = 5 * time.Second  // a shorter outage looks like a slow response
	faultAftermath   = 5 * time.Second  // after its end another fault still affects calls for this long
	maxMemoryGrowth  = 24 << 20         // bytes; heap growth that garbage explains
	minSampledOutage = 15 * time.Second // an outage of at least this length must have memory samples
)

// kafkaOutages returns the faults of Kafka that lasted at least minOutage, by end.
func (ix *index) kafkaOutages() []history.Fault {
	var outages []history.Fault
	for _, fault := range ix.Faults {
		if fault.Target == "kafka" && fault.Ended.Sub(fault.Began) >= minOutage {
			outages = append(outages, fault)
		}
	}
	slices.SortFunc(outages, func(a, b history.Fault) int { return a.Ended.Compare(b.Ended) })
	return outages
}

// checkOutage judges the writes that began while Kafka, and nothing else, was down, and the
// memory of the replicas that took them.
func checkOutage(ix *index) Check {
	var found violations
	outages := ix.kafkaOutages()
	otherFaults := ix.faultIntervals(faultAftermath, func(fault history.Fault) bool { return fault.Target != "kafka" })
	writes, answered, excused := 0, 0, 0
	var longest time.Duration
	var grown int64
	for _, o := range outages {
		longest = max(longest, o.Ended.Sub(o.Began))
		for i := range ix.Calls {
			c := &ix.Calls[i]
			if c.ClientCanceled || c.Began.Before(o.Began) || c.Began.After(o.Ended) {
				continue
			}
			good := c.Outcome == history.Done || c.Outcome == history.Refused && isClientError(c.Status)
			if !good && slices.ContainsFunc(otherFaults, func(s interval) bool { return s.overlaps(c.Began, c.Ended) }) {
				excused++
				continue
			}
			writes++
			if good {
				answered++
				continue
			}
			found.add("call %d, started at %s, was %s: %s", c.Number, formatTime(c.Began), c.Outcome, c.Status)
		}
		grown = max(grown, ix.memoryGrowth(o, &found))
	}
	if ix.expectsFault("", "kafka", minOutage) && writes == 0 {
		found.add("no write started while Kafka was down")
	}
	return found.check("outage", "writes succeed while Kafka is down, and memory stays flat",
		"%s of %s writes answered in %d outages of up to %s, memory grew by %d MiB; %s failures excused by another fault",
		groupThousands(answered), groupThousands(writes), len(outages), longest.Round(time.Second), grown>>20, groupThousands(excused))
}

// isClientError reports whether a request was refused for what it asked, rather than for a
// dependency that is down.
func isClientError(status string) bool {
	for _, s := range []string{"404", "409", "412", "422", "NOTFOUND", "ALREADYEXISTS", "FAILEDPRECONDITION", "ABORTED"} {
		if strings.HasPrefix(strings.ToUpper(strings.ReplaceAll(status, "_", "")), s) {
			return true
		}
	}
	return false
}

// memoryGrowth returns how many bytes a replica of todo-service grew from the first to the last
// third of an outage. It reports growth beyond maxMemoryGrowth.
func (ix *index) memoryGrowth(o history.Fault, found *violations) (most int64) {
	third := o.Ended.Sub(o.Began) / 3
	early, late := map[string]int64{}, map[string]int64{}
	for _, m := range ix.Memory {
		if !strings.HasPrefix(m.Target, "todo-service") || m.At.Before(o.Began) || m.At.After(o.Ended) {
			continue
		}
		switch elapsed := m.At.Sub(o.Began); {
		case elapsed <= third:
			early[m.Target] = max(early[m.Target], m.Resident)
		case elapsed >= 2*third && (late[m.Target] == 0 || m.Resident < late[m.Target]):
			late[m.Target] = m.Resident
		}
	}
	for _, target := range sortedKeys(late) {
		if early[target] == 0 {
			continue
		}
		most = max(most, late[target]-early[target])
		if late[target] > early[target]+maxMemoryGrowth {
			found.add("%s grew from %d to %d MiB while Kafka was down", target, early[target]>>20, late[target]>>20)
		}
	}
	if o.Ended.Sub(o.Began) >= minSampledOutage && (len(early) == 0 || len(late) == 0) {
		found.add("the outage of %s has no memory samples", formatTime(o.Began))
	}
	return most
}

// faultIntervals returns the intervals of the selected faults, each extended by after.
func (ix *index) faultIntervals(after time.Duration, selected func(history.Fault) bool) []interval {
	var spans []interval
	for _, fault := range ix.Faults {
		if selected(fault) {
			spans = append(spans, interval{fault.Began, fault.Ended.Add(after)})
		}
	}
	return spans
}

// checkBacklog judges the order of what was committed in the last outage and published after it.
// The throughput is shown, not judged.
func checkBacklog(ix *index) Check {
	const promise = "after an outage of Kafka the backlog drains in order"
	var found violations
	outages := ix.kafkaOutages()
	if len(outages) == 0 {
		if ix.expectsFault("", "kafka", minOutage) {
			found.add("Kafka had no long outage")
		}
		return found.check("backlog", promise, "Kafka had no long outage")
	}
	last := outages[len(outages)-1]
	late := map[string]bool{}
	var first, end time.Time
	for id, r := range ix.firstRecords {
		if at := r.event.At; at.Before(last.Began) || at.After(last.Ended) || r.Time.Before(last.Ended.Add(-faultAftermath)) {
			continue
		}
		late[id] = true
		if first.IsZero() || r.Time.Before(first) {
			first = r.Time
		}
		if r.Time.After(end) {
			end = r.Time
		}
	}
	inverted := ix.countInversions(&found, func(e *history.Event) bool { return late[e.ID] })
	if len(late) == 0 {
		found.add("no event waited for Kafka in the outage of %s", formatTime(last.Began))
	}
	if !ix.hasBrokerTimes() {
		found.add("the topic keeps its producers' timestamps: message.timestamp.type must be LogAppendTime")
	}
	return found.check("backlog", promise, "%s events waited, %s out of order, %.0f events/s",
		groupThousands(len(late)), groupThousands(inverted), float64(len(late))/max(0.001, end.Sub(first).Seconds()))
}

// hasBrokerTimes reports whether the broker, rather than the producer, set the records'
// timestamps.
func (ix *index) hasBrokerTimes() bool {
	for _, r := range ix.firstRecords {
		if !r.Time.Equal(r.event.At.Truncate(time.Millisecond)) {
			return true
		}
	}
	return len(ix.firstRecords) == 0
}
