package checker

// again judges that replaying the topic from its beginning, and the dead letters
// twice, changed nothing.
func again(f *facts) Row {
	const promise = "replaying the topic from zero, and the dead letters twice, changes nothing a second time"
	var bad findings
	if !f.Again.Done {
		if f.Expected.Again {
			bad.add("nothing was replayed")
		}
		return bad.row("again", promise, "not replayed")
	}
	for i := range f.Again.Received {
		d := &f.Again.Received[i]
		bad.add("%s: %s, task %d, was notified again", stamp(d.At), d.Key, d.TaskID)
	}
	f.compareStats(f.Again.Stats, &bad)
	if f.Again.Events != len(f.Events) {
		bad.add("there were %d events, and are %d", len(f.Events), f.Again.Events)
	}
	for _, effect := range f.Again.NewEffect {
		bad.add("%s", effect)
	}
	replays, repeated := f.replays(&bad)
	return bad.row("again", promise, "%d new notifications, %d replicas' statistics compared; %d dead letters came back, %d were written again",
		len(f.Again.Received), len(f.Again.Stats), replays, repeated)
}

// replays judges what is in the dead-letter topic afterwards: what was there, the same
// letters once more, which the reading from the beginning may have written, and for
// each replay the same letter, of the same group.
func (f *facts) replays(bad *findings) (replays, repeated int) {
	before := map[place]bool{}
	for _, r := range f.DLQ {
		before[place{r.Partition, r.Offset}] = true
	}
	wanted, left := f.wanted(), len(before)
	for i := range f.Again.DLQ {
		r := &f.Again.DLQ[i]
		at := place{r.Partition, r.Offset}
		if before[at] {
			left--
			continue
		}
		group := r.Header("replay-group")
		l, err := addressed(r)
		original := wanted[l]
		switch {
		case err != nil:
			bad.add("dead letter %s: %v", at, err)
		case group == "" && original != nil && substance(original.Key, original.Value) == substance(r.Key, r.Value):
			repeated++
		case group == "" && original != nil && f.undecodable(original):
			repeated++
		case group == "":
			bad.add("dead letter %s, %s, is new, and no replay: %s", at, l, r.Header("error"))
		case group != r.Header("consumer-group"):
			bad.add("dead letter %s was replayed to %s, and came from %s", at, group, r.Header("consumer-group"))
		case f.poison.like(r.Key, r.Value) == nil:
			bad.add("dead letter %s is a replay of no poison", at)
		default:
			replays++
		}
	}
	if left > 0 {
		bad.add("%d dead letters are gone", left)
	}
	if len(wanted) > 0 && replays == 0 {
		bad.add("no dead letter came back: none was replayed")
	}
	return replays, repeated
}
