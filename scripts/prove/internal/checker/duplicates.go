package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// causeAftermath is how long a cause lasts beyond its end: a request may be in flight when its
// sender dies, and a client needs a moment to reconnect.
const causeAftermath = 2 * time.Second

// cause excuses one duplicate delivery in each partition.
type cause struct {
	endsReader     bool // it ended or froze the consumer; otherwise it is a fault of Redis
	began          time.Time
	ended          time.Time
	usedPartitions map[int32]bool // where it has excused a duplicate
}

// duplicate is an accepted delivery whose key had been accepted before.
type duplicate struct {
	event       *history.Event
	partition   int32
	firstAt, at time.Time
}

// checkDuplicateDeliveries counts what a receiver without deduplication would see twice. Each
// duplicate needs a cause of its own, between the two deliveries and in its partition.
func checkDuplicateDeliveries(ix *index) Check {
	var found violations
	causes := ix.duplicateCauses()
	duplicates, afterFlush := ix.findDuplicates(causes)
	unexcused := 0
	slices.SortFunc(duplicates, func(a, b duplicate) int { return a.at.Compare(b.at) })
	for _, d := range duplicates {
		if !excuseDuplicate(causes, d) {
			unexcused++
			found.add("%s, task %d, was accepted at %s and again at %s; no crash or freeze in between excuses partition %d",
				d.event.ID, d.event.TaskID, formatTime(d.firstAt), formatTime(d.at), d.partition)
		}
	}
	return found.check("duplicate-deliveries", "a receiver without deduplication gets at most 1 duplicate per held partition and crash or freeze",
		"%d duplicates, %d without a cause, with %d crashes and freezes in %d partitions; %d more after a flush of the dedup keys",
		len(duplicates), unexcused, len(causes), ix.usedPartitions, afterFlush)
}

// maxUncommittedTime is how long before a crash a notification may have been sent whose offset
// was not committed.
const maxUncommittedTime = 5 * time.Second

// findDuplicates returns the duplicates, and how many more were caused by a flush of the dedup
// keys. After a flush nothing can detect a copy, nor a record that is read again because its
// consumer died before it committed.
func (ix *index) findDuplicates(causes []cause) (duplicates []duplicate, afterFlush int) {
	records := map[string]int{}
	for i := range ix.records {
		if e := ix.records[i].event; e != nil && e.Type == completed {
			records[e.ID]++
		}
	}
	var flushes []time.Time
	for _, fault := range ix.Faults {
		if fault.Kind == "flush" && fault.Target == "redis" {
			flushes = append(flushes, fault.Began)
		}
	}
	accepted := map[string]time.Time{}
	for i := range ix.Deliveries {
		d := &ix.Deliveries[i]
		e := ix.completions[d.Key]
		if e == nil || !isAccepted(d) {
			continue
		}
		first, again := accepted[d.Key]
		accepted[d.Key] = d.At
		if !again {
			continue
		}
		flushed := slices.ContainsFunc(flushes, func(t time.Time) bool { return t.After(first) && t.Before(d.At) })
		if flushed && records[d.Key] > 1 {
			records[d.Key]--
			afterFlush++
			continue
		}
		if flushed && slices.ContainsFunc(causes, func(c cause) bool { return c.endsReader && mayHaveLostOffset(c, first) }) {
			afterFlush++
			continue
		}
		one := duplicate{event: e, firstAt: first, at: d.At}
		if r := ix.firstRecords[e.ID]; r != nil {
			one.partition = r.Partition
		}
		duplicates = append(duplicates, one)
	}
	return duplicates, afterFlush
}

// mayHaveLostOffset reports whether the cause may have prevented the commit of an offset that was
// handled at that time.
func mayHaveLostOffset(c cause, handledAt time.Time) bool {
	return c.began.After(handledAt.Add(-causeAftermath)) && c.began.Before(handledAt.Add(maxUncommittedTime))
}

// duplicateCauses returns what may have come between a delivery and the record of it, by end.
func (ix *index) duplicateCauses() []cause {
	const service = "notification-service"
	var causes []cause
	for _, fault := range ix.Faults {
		ofConsumer := strings.HasPrefix(fault.Target, service) && fault.Kind != "rebalance"
		if ofConsumer || fault.Target == "redis" {
			causes = append(causes, cause{endsReader: ofConsumer, began: fault.Began, ended: fault.Ended})
		}
	}
	for _, crash := range ix.Crashes {
		if strings.HasPrefix(crash.Target, service) {
			causes = append(causes, cause{endsReader: true, began: crash.At, ended: crash.At})
		}
	}
	classifier := newExitClassifier(ix) // requested exits and failpoint crashes are causes already
	for i := range ix.Exits {
		d := &ix.Exits[i]
		if exit := classifier.classify(d); strings.HasPrefix(d.Target, service) && (exit == poisonExit || exit == unexpectedExit) {
			causes = append(causes, cause{endsReader: true, began: d.At, ended: d.At})
		}
	}
	for i := range causes {
		causes[i].usedPartitions = map[int32]bool{}
	}
	slices.SortFunc(causes, func(a, b cause) int { return cmp.Or(a.ended.Compare(b.ended), a.began.Compare(b.began)) })
	return causes
}

// excuseDuplicate uses up the first cause that lies between the two deliveries and has excused no
// duplicate in that partition.
func excuseDuplicate(causes []cause, d duplicate) bool {
	for _, c := range causes {
		if c.usedPartitions[d.partition] || c.began.After(d.at) || c.ended.Add(causeAftermath).Before(d.firstAt) {
			continue
		}
		c.usedPartitions[d.partition] = true
		return true
	}
	return false
}
