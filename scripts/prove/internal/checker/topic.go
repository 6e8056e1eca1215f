package checker

import "example.com/todo/scripts/prove/internal/history"

// checkEvents compares the table with the topic, both ways.
func checkEvents(f *index) Check {
	var bad violations
	missing := 0
	for i := range f.Events {
		if e := &f.Events[i]; f.firstRecords[e.ID] == nil {
			missing++
			bad.add("%s %s of task %d, version %d, committed at %s, is not in the topic", e.Type, e.ID, e.TaskID, e.Version, formatTime(e.At))
		}
	}
	letters := map[string]bool{}
	for _, l := range append(f.DLQ, f.Replay.DLQ...) {
		letters[contentKey(l.Key, l.Value)] = true
	}
	var by [originReplay + 1]int
	foreign := 0
	for i := range f.records {
		r := &f.records[i]
		by[r.origin]++
		if r.origin == originReplay && !letters[contentKey(r.Key, r.Value)] {
			r.mismatch = "it is a replay of no dead letter"
		}
		if r.mismatch != "" {
			foreign++
			bad.add("%s: %s", r.position(), r.mismatch)
		}
	}
	return bad.check("events", "committed changes without their event in the topic: 0, and nothing else is there",
		"%s of %s missing, %s foreign; records: %s first, %s repeated, %s copied, %d poison, %d replayed",
		groupThousands(missing), groupThousands(len(f.Events)), groupThousands(foreign), groupThousands(len(f.firstRecords)),
		groupThousands(by[originSystem]-len(f.firstRecords)), groupThousands(by[originCopy]), by[originPoison], by[originReplay])
}

// checkOrder looks for a task's records that are not in the order of its versions, by
// their first occurrence.
func checkOrder(f *index) Check {
	var bad violations
	inverted := f.countInversions(&bad, func(*history.Event) bool { return true })
	homes, split := map[int64]int32{}, map[int64]bool{}
	for i := range f.records {
		r := &f.records[i]
		if r.origin != originSystem || r.event == nil {
			continue
		}
		home, known := homes[r.event.TaskID]
		if !known {
			homes[r.event.TaskID] = r.Partition
		} else if home != r.Partition && !split[r.event.TaskID] {
			split[r.event.TaskID] = true
			bad.add("task %d is in the partitions %d and %d", r.event.TaskID, home, r.Partition)
		}
	}
	f.checkSequenceNumbers(&bad)
	return bad.check("order", "per-task order inversions in the topic, by first occurrence: 0",
		"%s inversions, %s of %s tasks in more than one of %d partitions", groupThousands(inverted), groupThousands(len(split)), groupThousands(len(homes)), f.usedPartitions)
}

// countInversions counts the first records that come after one of a later version of
// their task.
func (f *index) countInversions(bad *violations, among func(*history.Event) bool) int {
	inverted, latest := 0, map[int64]int64{}
	for i := range f.records {
		r := &f.records[i]
		if r.event == nil || f.firstRecords[r.event.ID] != r || !among(r.event) {
			continue
		}
		e := r.event
		if e.Version < latest[e.TaskID] {
			inverted++
			bad.add("%s: version %d of task %d, after version %d", r.position(), e.Version, e.TaskID, latest[e.TaskID])
		}
		latest[e.TaskID] = max(latest[e.TaskID], e.Version)
	}
	return inverted
}

// checkSequenceNumbers looks for events without a place in the log, gaps between the places, and
// tasks whose places are not in the order of their versions.
func (f *index) checkSequenceNumbers(bad *violations) {
	taken := make([]bool, len(f.Events)+1)
	for i := range f.Events {
		e := &f.Events[i]
		switch {
		case e.Seq == 0:
			bad.add("%s of task %d, version %d, has no number", e.Type, e.TaskID, e.Version)
		case e.Seq < 0 || e.Seq >= int64(len(taken)):
			bad.add("event %s has the number %d, of %d", e.ID, e.Seq, len(f.Events))
		case taken[e.Seq]:
			bad.add("number %d is taken twice", e.Seq)
		default:
			taken[e.Seq] = true
		}
	}
	for _, task := range sortedKeys(f.eventsByTask) {
		history := f.eventsByTask[task]
		for i := 1; i < len(history); i++ {
			if a, b := history[i-1], history[i]; a.Seq >= b.Seq && b.Seq > 0 {
				bad.add("task %d: version %d has the number %d, version %d has %d", task, a.Version, a.Seq, b.Version, b.Seq)
			}
		}
	}
}
