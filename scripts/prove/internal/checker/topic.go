package checker

import (
	"slices"

	"example.com/todo/scripts/prove/internal/history"
)

// checkEvents compares the events table with the topic in both directions.
func checkEvents(ix *index, found *violations) string {
	for _, e := range ix.Events {
		if ix.firstRecords[e.ID] == nil {
			found.add("%s %s of task %d, version %d, committed at %s, is not in the topic",
				e.Type, e.ID, e.Task.ID, e.Version, formatTime(e.At))
		}
	}
	missing := found.total
	letters := map[string]bool{}
	for _, l := range slices.Concat(ix.DLQ, ix.Replay.DLQ) {
		letters[contentKey(l.Key, l.Value)] = true
	}
	var by [originReplay + 1]int
	for _, r := range ix.records {
		by[r.origin]++
		if r.origin == originReplay && !letters[contentKey(r.Key, r.Value)] {
			r.mismatch = "it is a replay, but of no dead letter"
		}
		if r.mismatch != "" {
			found.add("%s: %s", r.Position, r.mismatch)
		}
	}
	return sprintf("%d of %d missing, %d unexpected; records: %d first, %d repeated, %d copied, %d poison, %d replayed",
		missing, len(ix.Events), found.total-missing, len(ix.firstRecords), by[originSystem]-len(ix.firstRecords),
		by[originCopy], by[originPoison], by[originReplay])
}

// checkOrder reports records of a task that are not in the order of its versions, by first
// record, tasks in several partitions, and wrong sequence numbers.
func checkOrder(ix *index, found *violations) string {
	ix.findInversions(found, func(*record) bool { return true })
	inverted := found.total
	partitionByTask, split := map[int64]int32{}, map[int64]bool{}
	for _, r := range ix.records {
		if r.origin != originSystem || r.event == nil {
			continue
		}
		task := r.event.Task.ID
		if first, known := partitionByTask[task]; !known {
			partitionByTask[task] = r.Partition
		} else if first != r.Partition && !split[task] {
			split[task] = true
			found.add("task %d is in partitions %d and %d", task, first, r.Partition)
		}
	}
	ix.findWrongSequenceNumbers(found)
	return sprintf("%d inversions, %d of %d tasks in more than one of %d partitions",
		inverted, len(split), len(partitionByTask), len(ix.usedPartitions))
}

// findInversions reports the selected first records that follow one of a later version of their
// task.
func (ix *index) findInversions(found *violations, selected func(*record) bool) {
	latest := map[int64]int64{}
	for _, r := range ix.records {
		e := r.event
		if e == nil || ix.firstRecords[e.ID] != r || !selected(r) {
			continue
		}
		if e.Version < latest[e.Task.ID] {
			found.add("%s: version %d of task %d, after version %d", r.Position, e.Version, e.Task.ID, latest[e.Task.ID])
		}
		latest[e.Task.ID] = max(latest[e.Task.ID], e.Version)
	}
}

// findWrongSequenceNumbers reports sequence numbers that are not 1, 2, 3 … without gaps, and
// tasks whose numbers are not in the order of their versions.
func (ix *index) findWrongSequenceNumbers(found *violations) {
	used := map[int64]bool{0: true} // 0 is not assigned
	for _, e := range ix.Events {
		if used[e.Seq] || e.Seq < 0 || e.Seq > int64(len(ix.Events)) {
			found.add("%s of task %d, version %d: its sequence number %d is used twice, or not one of 1 to %d",
				e.Type, e.Task.ID, e.Version, e.Seq, len(ix.Events))
		}
		used[e.Seq] = true
	}
	for _, task := range sortedKeys(ix.eventsByTask) {
		var before history.Event
		for _, e := range ix.eventsByTask[task] {
			if before.Seq >= e.Seq && e.Seq > 0 {
				found.add("task %d: version %d has the sequence number %d, version %d has %d",
					task, before.Version, before.Seq, e.Version, e.Seq)
			}
			before = *e
		}
	}
}
