package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

const (
	// causeAftermath is how long a cause lasts beyond its end: a request may be in flight when its
	// sender dies, and a client needs a moment to reconnect.
	causeAftermath = 2 * time.Second
	// maxUncommittedTime is how long before a crash a notification may have been sent whose offset
	// was not committed.
	maxUncommittedTime = 5 * time.Second
)

// cause excuses one duplicate delivery in each partition.
type cause struct {
	interval
	endsReader     bool           // it ended or froze the consumer; otherwise it is a fault of Redis
	usedPartitions map[int32]bool // where it has excused a duplicate
}

// checkDuplicateDeliveries counts what a receiver without deduplication would see twice. Each
// duplicate needs a cause of its own, between the two deliveries and in its partition. After a
// flush of the dedup keys nothing can detect a copy, nor a record that is read again because its
// consumer died before it committed.
func checkDuplicateDeliveries(ix *index, found *violations) string {
	records := map[string]int{} // by event
	for _, r := range ix.records {
		if r.event != nil {
			records[r.event.ID]++
		}
	}
	causes, flushes := ix.duplicateCauses(), ix.faultIntervals(0, isRedisFlush)
	acceptedAt := map[string]time.Time{}
	duplicates, afterFlush := 0, 0
	for _, d := range sortedBy(ix.Deliveries, func(d history.Delivery) time.Time { return d.At }) {
		e, r := ix.completions[d.Key], ix.firstRecords[d.Key]
		if e == nil || r == nil || !isAccepted(d) {
			continue // check "notifications" reports an unknown key, "events" a missing record
		}
		first, again := acceptedAt[e.ID]
		acceptedAt[e.ID] = d.At
		flushed := flushes.overlap(first, d.At)
		mayHaveLostOffset := func(c cause) bool {
			return c.endsReader && c.start.After(first.Add(-causeAftermath)) && c.start.Before(first.Add(maxUncommittedTime))
		}
		switch {
		case !again:
		case flushed && records[e.ID] > 1:
			records[e.ID]--
			afterFlush++
		case flushed && slices.ContainsFunc(causes, mayHaveLostOffset):
			afterFlush++
		default:
			duplicates++
			if !excuseDuplicate(causes, r.Partition, first, d.At) {
				found.add("%s, task %d, was accepted at %s and again at %s; no crash or freeze in between excuses partition %d",
					e.ID, e.Task.ID, formatTime(first), formatTime(d.At), r.Partition)
			}
		}
	}
	return sprintf("%d duplicates, %d without a cause, with %d crashes and freezes in %d partitions; "+
		"%d more after a flush of the dedup keys",
		duplicates, found.total, len(causes), len(ix.usedPartitions), afterFlush)
}

// duplicateCauses returns what may have come between a delivery and the record of it, by end.
func (ix *index) duplicateCauses() []cause {
	const service = "notification-service"
	var causes []cause
	add := func(start, end time.Time, endsReader bool) {
		causes = append(causes, cause{interval{start, end}, endsReader, map[int32]bool{}})
	}
	for _, fault := range ix.Faults {
		ofConsumer := strings.HasPrefix(fault.Target, service) && !isGraceful(fault)
		if ofConsumer || fault.Target == "redis" {
			add(fault.Began, fault.Ended, ofConsumer)
		}
	}
	for i, reason := range ix.classifyExits() {
		// The faults have the requested exits.
		if exit := ix.Exits[i]; strings.HasPrefix(exit.Target, service) && reason != requestedExit {
			add(exit.At, exit.At, true)
		}
	}
	return sortedBy(causes, func(c cause) time.Time { return c.end })
}

// excuseDuplicate uses up the first cause that lies between the two deliveries and has excused no
// duplicate in that partition.
func excuseDuplicate(causes []cause, partition int32, first, again time.Time) bool {
	for _, c := range causes {
		if !c.usedPartitions[partition] && c.overlaps(first.Add(-causeAftermath), again) {
			c.usedPartitions[partition] = true
			return true
		}
	}
	return false
}
