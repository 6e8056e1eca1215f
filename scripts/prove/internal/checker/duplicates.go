package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// causeAftermath is how long a cause goes on after its end: a request is still under way
// when its sender has died, and a client needs a moment to find its server again.
const causeAftermath = 2 * time.Second

// cause is something that excuses one extra notification per partition.
type cause struct {
	endsReader     bool // its reader, not Redis
	began          time.Time
	ended          time.Time
	usedPartitions map[int32]bool // whose extra it has excused
}

// duplicate is a notification that the provider took although it had taken it before.
type duplicate struct {
	event       *history.Event
	partition   int32
	firstAt, at time.Time
}

// checkDuplicateDeliveries counts what a provider that knows no keys sees too often. Each extra
// needs a crash or freeze of its own between the two, in its partition.
func checkDuplicateDeliveries(f *index) Check {
	var bad violations
	causes := f.duplicateCauses()
	extras, forgotten := f.findDuplicates(causes)
	unexcused := 0
	slices.SortFunc(extras, func(a, b duplicate) int { return a.at.Compare(b.at) })
	for _, x := range extras {
		if !excuseDuplicate(causes, x) {
			unexcused++
			bad.add("%s, task %d, was taken at %s and again at %s; no crash or freeze between excuses partition %d",
				x.event.ID, x.event.TaskID, formatTime(x.firstAt), formatTime(x.at), x.partition)
		}
	}
	return bad.check("plain-sink", "extra notifications at a plain sink: at most 1 per partition held, per crash or freeze",
		"%d extra, %d without a cause, among %d crashes and freezes in %d partitions; %d more whose marks were flushed",
		len(extras), unexcused, len(causes), f.usedPartitions, forgotten)
}

// maxUncommittedTime is how long before a crash a notification may have been made that the
// group's offset does not know of.
const maxUncommittedTime = 5 * time.Second

// findDuplicates returns what was taken again, and how much of it only the marks could have
// told, which were flushed in between: copies, and what was read again because its
// reader had died before the group's offset was stored.
func (f *index) findDuplicates(causes []cause) (extras []duplicate, forgotten int) {
	appearances := map[string]int{}
	for i := range f.records {
		if e := f.records[i].event; e != nil && e.Type == completed {
			appearances[e.ID]++
		}
	}
	var flushes []time.Time
	for _, fault := range f.Faults {
		if fault.Kind == "flush" && fault.Target == "redis" {
			flushes = append(flushes, fault.Began)
		}
	}
	taken := map[string]time.Time{}
	for i := range f.Deliveries {
		d := &f.Deliveries[i]
		e := f.completions[d.Key]
		if e == nil || !isAccepted(d) {
			continue
		}
		since, again := taken[d.Key]
		taken[d.Key] = d.At
		if !again {
			continue
		}
		flushed := slices.ContainsFunc(flushes, func(t time.Time) bool { return t.After(since) && t.Before(d.At) })
		if flushed && appearances[d.Key] > 1 {
			appearances[d.Key]--
			forgotten++
			continue
		}
		if flushed && slices.ContainsFunc(causes, func(c cause) bool { return c.endsReader && mayHaveLostOffset(c, since) }) {
			forgotten++
			continue
		}
		x := duplicate{event: e, firstAt: since, at: d.At}
		if first := f.firstRecords[e.ID]; first != nil {
			x.partition = first.Partition
		}
		extras = append(extras, x)
	}
	return extras, forgotten
}

// mayHaveLostOffset tells whether a crash can have kept the group's offset from passing what
// was notified then.
func mayHaveLostOffset(c cause, then time.Time) bool {
	return c.began.After(then.Add(-causeAftermath)) && c.began.Before(then.Add(maxUncommittedTime))
}

// duplicateCauses returns what can have come between a notification and its mark, by end.
func (f *index) duplicateCauses() []cause {
	const service = "notification-service"
	var causes []cause
	for _, fault := range f.Faults {
		ownEnd := strings.HasPrefix(fault.Target, service) && fault.Kind != "rebalance"
		if ownEnd || fault.Target == "redis" {
			causes = append(causes, cause{endsReader: ownEnd, began: fault.Began, ended: fault.Ended})
		}
	}
	for _, crash := range f.Crashes {
		if strings.HasPrefix(crash.Target, service) {
			causes = append(causes, cause{endsReader: true, began: crash.At, ended: crash.At})
		}
	}
	explained := newExitClassifier(f) // what was asked for, and crash points, are causes already
	for i := range f.Exits {
		d := &f.Exits[i]
		if why := explained.classify(d); strings.HasPrefix(d.Target, service) && (why == poisonExit || why == unexpectedExit) {
			causes = append(causes, cause{endsReader: true, began: d.At, ended: d.At})
		}
	}
	for i := range causes {
		causes[i].usedPartitions = map[int32]bool{}
	}
	slices.SortFunc(causes, func(a, b cause) int { return cmp.Or(a.ended.Compare(b.ended), a.began.Compare(b.began)) })
	return causes
}

// excuseDuplicate takes the first cause that lies between the two notifications and has
// excused none of that partition.
func excuseDuplicate(causes []cause, x duplicate) bool {
	for _, c := range causes {
		if c.usedPartitions[x.partition] || c.began.After(x.at) || c.ended.Add(causeAftermath).Before(x.firstAt) {
			continue
		}
		c.usedPartitions[x.partition] = true
		return true
	}
	return false
}
