package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	minOutage        = 5 * time.Second  // what is shorter passes as a slow answer
	faultAftermath   = 5 * time.Second  // after another fault, before its end is of no importance
	maxMemoryGrowth  = 24 << 20         // bytes that a process may take for its garbage
	minSampledOutage = 15 * time.Second // an outage as long as this has to have samples of memory
)

// kafkaOutages returns when Kafka was away for long.
func (f *index) kafkaOutages() []history.Fault {
	var outages []history.Fault
	for _, fault := range f.Faults {
		if fault.Target == "kafka" && fault.Ended.Sub(fault.Began) >= minOutage {
			outages = append(outages, fault)
		}
	}
	slices.SortFunc(outages, func(a, b history.Fault) int { return a.Ended.Compare(b.Ended) })
	return outages
}

// checkOutage judges the writes that began while Kafka, and nothing else, was away, and
// the memory of those who took them.
func checkOutage(f *index) Check {
	var bad violations
	outages := f.kafkaOutages()
	others := f.faultIntervals(faultAftermath, func(fault history.Fault) bool { return fault.Target != "kafka" })
	writes, answered, apart := 0, 0, 0
	var longest time.Duration
	var grown int64
	for _, o := range outages {
		longest = max(longest, o.Ended.Sub(o.Began))
		for i := range f.Calls {
			c := &f.Calls[i]
			if c.ClientCanceled || c.Began.Before(o.Began) || c.Began.After(o.Ended) {
				continue
			}
			good := c.Outcome == history.Done || c.Outcome == history.Refused && isClientError(c.Status)
			if !good && slices.ContainsFunc(others, func(s interval) bool { return s.overlaps(c.Began, c.Ended) }) {
				apart++
				continue
			}
			writes++
			if good {
				answered++
				continue
			}
			bad.add("call %d, begun at %s, was %s: %s", c.Number, formatTime(c.Began), c.Outcome, c.Status)
		}
		grown = max(grown, f.memoryGrowth(o, &bad))
	}
	if f.expectsFault("", "kafka", minOutage) && writes == 0 {
		bad.add("no write began while Kafka was away")
	}
	return bad.check("outage", "writes while Kafka is away are answered 2xx, and memory is flat",
		"%s of %s writes answered in %d outages of up to %s, memory grew by %d MiB; %s not answered while something else was faulted too",
		groupThousands(answered), groupThousands(writes), len(outages), longest.Round(time.Second), grown>>20, groupThousands(apart))
}

// isClientError tells whether a refusal is because of what was asked, not of who is away.
func isClientError(status string) bool {
	for _, s := range []string{"404", "409", "412", "422", "NOTFOUND", "ALREADYEXISTS", "FAILEDPRECONDITION", "ABORTED"} {
		if strings.HasPrefix(strings.ToUpper(strings.ReplaceAll(status, "_", "")), s) {
			return true
		}
	}
	return false
}

// memoryGrowth returns how much more memory a replica of todo-service held in the last third
// of an outage than in the first. More than garbage explains is an offence.
func (f *index) memoryGrowth(o history.Fault, bad *violations) (most int64) {
	third := o.Ended.Sub(o.Began) / 3
	early, late := map[string]int64{}, map[string]int64{}
	for _, m := range f.Memory {
		if !strings.HasPrefix(m.Target, "todo-service") || m.At.Before(o.Began) || m.At.After(o.Ended) {
			continue
		}
		switch in := m.At.Sub(o.Began); {
		case in <= third:
			early[m.Target] = max(early[m.Target], m.Resident)
		case in >= 2*third && (late[m.Target] == 0 || m.Resident < late[m.Target]):
			late[m.Target] = m.Resident
		}
	}
	for _, target := range sortedKeys(late) {
		if early[target] == 0 {
			continue
		}
		most = max(most, late[target]-early[target])
		if late[target] > early[target]+maxMemoryGrowth {
			bad.add("%s grew from %d to %d MiB while Kafka was away", target, early[target]>>20, late[target]>>20)
		}
	}
	if o.Ended.Sub(o.Began) >= minSampledOutage && (len(early) == 0 || len(late) == 0) {
		bad.add("nobody looked at the memory in the outage of %s", formatTime(o.Began))
	}
	return most
}

// faultIntervals returns when the faults were that are meant, and how long they went on.
func (f *index) faultIntervals(after time.Duration, meant func(history.Fault) bool) []interval {
	var spans []interval
	for _, fault := range f.Faults {
		if meant(fault) {
			spans = append(spans, interval{fault.Began, fault.Ended.Add(after)})
		}
	}
	return spans
}

// checkBacklog judges what was committed in the last outage and came to the topic after
// it. Its speed is told, not judged.
func checkBacklog(f *index) Check {
	const promise = "after Kafka was away the backlog drains in order"
	var bad violations
	outages := f.kafkaOutages()
	if len(outages) == 0 {
		if f.expectsFault("", "kafka", minOutage) {
			bad.add("Kafka was never away for long")
		}
		return bad.check("backlog", promise, "Kafka was never away for long")
	}
	last := outages[len(outages)-1]
	late := map[string]bool{}
	var first, end time.Time
	for id, r := range f.firstRecords {
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
	inverted := f.countInversions(&bad, func(e *history.Event) bool { return late[e.ID] })
	if len(late) == 0 {
		bad.add("nothing waited for Kafka in the outage of %s", formatTime(last.Began))
	}
	if !f.hasBrokerTimes() {
		bad.add("the topic keeps its producers' times: message.timestamp.type has to be LogAppendTime")
	}
	return bad.check("backlog", promise, "%s events waited, %s out of order, %.0f events/s",
		groupThousands(len(late)), groupThousands(inverted), float64(len(late))/max(0.001, end.Sub(first).Seconds()))
}

// hasBrokerTimes tells whether the records' times are the broker's.
func (f *index) hasBrokerTimes() bool {
	for _, r := range f.firstRecords {
		if !r.Time.Equal(r.event.At.Truncate(time.Millisecond)) {
			return true
		}
	}
	return len(f.firstRecords) == 0
}
