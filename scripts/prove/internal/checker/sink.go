package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// aftermath is how long a cause goes on after its end: a request is still under way
// when its sender has died, and a client needs a moment to find its server again.
const aftermath = 2 * time.Second

// cause is something that excuses one extra notification per partition.
type cause struct {
	ends       bool // its reader, not Redis
	began      time.Time
	ended      time.Time
	partitions map[int32]bool // whose extra it has excused
}

// extra is a notification that the provider took although it had taken it before.
type extra struct {
	event     *history.Event
	partition int32
	since, at time.Time
}

// plainSink counts what a provider that knows no keys sees too often. Each extra
// needs a crash or freeze of its own between the two, in its partition.
func plainSink(f *facts) Row {
	var bad findings
	causes := f.causes()
	extras, forgotten := f.extras(causes)
	unexcused := 0
	slices.SortFunc(extras, func(a, b extra) int { return a.at.Compare(b.at) })
	for _, x := range extras {
		if !excuse(causes, x) {
			unexcused++
			bad.add("%s, task %d, was taken at %s and again at %s; no crash or freeze between excuses partition %d",
				x.event.ID, x.event.TaskID, stamp(x.since), stamp(x.at), x.partition)
		}
	}
	return bad.row("plain-sink", "extra notifications at a plain sink: at most 1 per partition held, per crash or freeze",
		"%d extra, %d without a cause, among %d crashes and freezes in %d partitions; %d more whose marks were flushed",
		len(extras), unexcused, len(causes), f.partitions, forgotten)
}

// uncommitted is how long before a crash a notification may have been made that the
// group's offset does not know of.
const uncommitted = 5 * time.Second

// extras returns what was taken again, and how much of it only the marks could have
// told, which were flushed in between: copies, and what was read again because its
// reader had died before the group's offset was stored.
func (f *facts) extras(causes []cause) (extras []extra, forgotten int) {
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
	for i := range f.Received {
		d := &f.Received[i]
		e := f.completions[d.Key]
		if e == nil || !took(d) {
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
		if flushed && slices.ContainsFunc(causes, func(c cause) bool { return c.ends && unmarkedBy(c, since) }) {
			forgotten++
			continue
		}
		x := extra{event: e, since: since, at: d.At}
		if first := f.firsts[e.ID]; first != nil {
			x.partition = first.Partition
		}
		extras = append(extras, x)
	}
	return extras, forgotten
}

// unmarkedBy tells whether a crash can have kept the group's offset from passing what
// was notified then.
func unmarkedBy(c cause, then time.Time) bool {
	return c.began.After(then.Add(-aftermath)) && c.began.Before(then.Add(uncommitted))
}

// causes returns what can have come between a notification and its mark, by end.
func (f *facts) causes() []cause {
	const service = "notification-service"
	var causes []cause
	for _, fault := range f.Faults {
		ownEnd := strings.HasPrefix(fault.Target, service) && fault.Kind != "rebalance"
		if ownEnd || fault.Target == "redis" {
			causes = append(causes, cause{ends: ownEnd, began: fault.Began, ended: fault.Ended})
		}
	}
	for _, crash := range f.Crashes {
		if strings.HasPrefix(crash.Target, service) {
			causes = append(causes, cause{ends: true, began: crash.At, ended: crash.At})
		}
	}
	explained := newExplanations(f) // what was asked for, and crash points, are causes already
	for i := range f.Deaths {
		d := &f.Deaths[i]
		if why := explained.of(d); strings.HasPrefix(d.Target, service) && (why == byPoison || why == byItself) {
			causes = append(causes, cause{ends: true, began: d.At, ended: d.At})
		}
	}
	for i := range causes {
		causes[i].partitions = map[int32]bool{}
	}
	slices.SortFunc(causes, func(a, b cause) int { return cmp.Or(a.ended.Compare(b.ended), a.began.Compare(b.began)) })
	return causes
}

// excuse takes the first cause that lies between the two notifications and has
// excused none of that partition.
func excuse(causes []cause, x extra) bool {
	for _, c := range causes {
		if c.partitions[x.partition] || c.began.After(x.at) || c.ended.Add(aftermath).Before(x.since) {
			continue
		}
		c.partitions[x.partition] = true
		return true
	}
	return false
}
