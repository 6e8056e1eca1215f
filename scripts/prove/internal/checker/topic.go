package checker

import "example.com/todo/scripts/prove/internal/history"

// checkEvents compares the events table with the topic in both directions.
func checkEvents(ix *index) Check {
	var found violations
	missing := 0
	for i := range ix.Events {
		if e := &ix.Events[i]; ix.firstRecords[e.ID] == nil {
			missing++
			found.add("%s %s of task %d, version %d, committed at %s, is not in the topic", e.Type, e.ID, e.TaskID, e.Version, formatTime(e.At))
		}
	}
	letters := map[string]bool{}
	for _, l := range append(ix.DLQ, ix.Replay.DLQ...) {
		letters[contentKey(l.Key, l.Value)] = true
	}
	var by [originReplay + 1]int
	unexpected := 0
	for i := range ix.records {
		r := &ix.records[i]
		by[r.origin]++
		if r.origin == originReplay && !letters[contentKey(r.Key, r.Value)] {
			r.mismatch = "it is a replay, but of no dead letter"
		}
		if r.mismatch != "" {
			unexpected++
			found.add("%s: %s", r.position(), r.mismatch)
		}
	}
	return found.check("events", "every committed change has its event in the topic, and nothing else is there",
		"%s of %s missing, %s unexpected; records: %s first, %s repeated, %s copied, %d poison, %d replayed",
		groupThousands(missing), groupThousands(len(ix.Events)), groupThousands(unexpected), groupThousands(len(ix.firstRecords)),
		groupThousands(by[originSystem]-len(ix.firstRecords)), groupThousands(by[originCopy]), by[originPoison], by[originReplay])
}

// checkOrder reports records of a task that are not in the order of its versions, by first
// record.
func checkOrder(ix *index) Check {
	var found violations
	inverted := ix.countInversions(&found, func(*history.Event) bool { return true })
	partitionByTask, split := map[int64]int32{}, map[int64]bool{}
	for i := range ix.records {
		r := &ix.records[i]
		if r.origin != originSystem || r.event == nil {
			continue
		}
		first, known := partitionByTask[r.event.TaskID]
		if !known {
			partitionByTask[r.event.TaskID] = r.Partition
		} else if first != r.Partition && !split[r.event.TaskID] {
			split[r.event.TaskID] = true
			found.add("task %d is in partitions %d and %d", r.event.TaskID, first, r.Partition)
		}
	}
	ix.checkSequenceNumbers(&found)
	return found.check("order", "records of a task keep the order of its versions, by first occurrence",
		"%s inversions, %s of %s tasks in more than one of %d partitions", groupThousands(inverted), groupThousands(len(split)), groupThousands(len(partitionByTask)), ix.usedPartitions)
}

// countInversions reports and counts the first records that follow one of a later version of
// their task.
func (ix *index) countInversions(found *violations, selected func(*history.Event) bool) int {
	inverted, latest := 0, map[int64]int64{}
	for i := range ix.records {
		r := &ix.records[i]
		if r.event == nil || ix.firstRecords[r.event.ID] != r || !selected(r.event) {
			continue
		}
		e := r.event
		if e.Version < latest[e.TaskID] {
			inverted++
			found.add("%s: version %d of task %d, after version %d", r.position(), e.Version, e.TaskID, latest[e.TaskID])
		}
		latest[e.TaskID] = max(latest[e.TaskID], e.Version)
	}
	return inverted
}

// checkSequenceNumbers reports events without a sequence number, gaps between the numbers, and
// tasks whose numbers are not in the order of their versions.
func (ix *index) checkSequenceNumbers(found *violations) {
	used := make([]bool, len(ix.Events)+1)
	for i := range ix.Events {
		e := &ix.Events[i]
		switch {
		case e.Seq == 0:
			found.add("%s of task %d, version %d, has no sequence number", e.Type, e.TaskID, e.Version)
		case e.Seq < 0 || e.Seq >= int64(len(used)):
			found.add("event %s has the sequence number %d, of %d", e.ID, e.Seq, len(ix.Events))
		case used[e.Seq]:
			found.add("sequence number %d is used twice", e.Seq)
		default:
			used[e.Seq] = true
		}
	}
	for _, task := range sortedKeys(ix.eventsByTask) {
		events := ix.eventsByTask[task]
		for i := 1; i < len(events); i++ {
			if a, b := events[i-1], events[i]; a.Seq >= b.Seq && b.Seq > 0 {
				found.add("task %d: version %d has the sequence number %d, version %d has %d", task, a.Version, a.Seq, b.Version, b.Seq)
			}
		}
	}
}
