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

// kafkaOutages returns the faults of Kafka that lasted at least minOutage.
func (ix *index) kafkaOutages() intervals {
	return ix.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "kafka" && fault.Ended.Sub(fault.Began) >= minOutage
	})
}

// checkOutage judges the writes that began while Kafka, and nothing else, was down, and the
// memory of the replicas that took them.
func checkOutage(ix *index, found *violations) string {
	outages := ix.kafkaOutages()
	otherFaults := ix.faultIntervals(faultAftermath, func(fault history.Fault) bool { return fault.Target != "kafka" })
	answered, failed, excused := 0, 0, 0
	var longest time.Duration
	var grown int64
	for _, o := range outages {
		longest = max(longest, o.end.Sub(o.start))
		for _, c := range ix.callsBegunIn(o) {
			switch {
			case isAnswered(c):
				answered++
			case otherFaults.overlap(c.Began, c.Ended):
				excused++
			default:
				failed++
				found.add("call %d, started at %s, was %s: %s", c.Number, formatTime(c.Began), c.Outcome, c.Status)
			}
		}
		grown = max(grown, ix.memoryGrowth(o, found))
	}
	if ix.expectsFault("", "kafka", minOutage) && answered+failed == 0 {
		found.add("no write started while Kafka was down")
	}
	return sprintf("%d of %d writes answered in %d outages of up to %s, memory grew by %d MiB; "+
		"%d failures excused by another fault",
		answered, answered+failed, len(outages), longest.Round(time.Second), grown>>20, excused)
}

// memoryGrowth returns how many bytes a replica of todo-service grew from the first to the last
// third of an outage. It reports growth beyond maxMemoryGrowth. A replica that had a fault of its
// own just before the outage is left out.
func (ix *index) memoryGrowth(o interval, found *violations) (most int64) {
	third := o.end.Sub(o.start) / 3
	early, late := map[string]int64{}, map[string]int64{}
	for _, m := range ix.Memory {
		elapsed := m.At.Sub(o.start)
		// A process that was started or resumed in this moment grows to the size that its work needs.
		warmsUp := func() bool {
			return ix.faultIntervals(faultAftermath, func(fault history.Fault) bool { return fault.Target == m.Target }).overlap(o.start, o.start)
		}
		switch {
		case !strings.HasPrefix(m.Target, "todo-service") || elapsed < 0 || m.At.After(o.end) || warmsUp():
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
	if 3*third >= minSampledOutage && (len(early) == 0 || len(late) == 0) {
		found.add("the outage of %s has no memory samples", formatTime(o.start))
	}
	return most
}

// checkBacklog judges the order of what was committed in the last outage and published after it.
// The throughput is shown, not judged.
func checkBacklog(ix *index, found *violations) string {
	outages := ix.kafkaOutages()
	if len(outages) == 0 {
		if ix.expectsFault("", "kafka", minOutage) {
			found.add("Kafka had no long outage")
		}
		return "Kafka had no long outage"
	}
	last := outages[len(outages)-1]
	waited := func(r *record) bool {
		return last.overlaps(r.event.At, r.event.At) && !r.Time.Before(last.end.Add(-faultAftermath))
	}
	var published []time.Time
	for _, r := range ix.firstRecords {
		if waited(r) {
			published = append(published, r.Time)
		}
	}
	ix.findInversions(found, waited)
	inverted, seconds := found.total, 0.001
	if len(published) > 0 {
		first, end := slices.MinFunc(published, time.Time.Compare), slices.MaxFunc(published, time.Time.Compare)
		seconds = max(seconds, end.Sub(first).Seconds())
	} else {
		found.add("no event waited for Kafka in the outage of %s", formatTime(last.start))
	}
	ix.requireBrokerTimes(found)
	return sprintf("%d events waited, %d out of order, %.0f events/s",
		len(published), inverted, float64(len(published))/seconds)
}
