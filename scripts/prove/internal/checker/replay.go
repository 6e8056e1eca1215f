package checker

// checkReplay judges that replaying the topic from its beginning, and the dead letters
// twice, changed nothing.
func checkReplay(f *index) Check {
	const promise = "replaying the topic from zero, and the dead letters twice, changes nothing a second time"
	var bad violations
	if !f.Replay.Done {
		if f.Expected.Replay {
			bad.add("nothing was replayed")
		}
		return bad.check("again", promise, "not replayed")
	}
	for i := range f.Replay.Deliveries {
		d := &f.Replay.Deliveries[i]
		bad.add("%s: %s, task %d, was notified again", formatTime(d.At), d.Key, d.TaskID)
	}
	f.compareStats(f.Replay.Stats, &bad)
	if f.Replay.Events != len(f.Events) {
		bad.add("there were %d events, and are %d", len(f.Events), f.Replay.Events)
	}
	for _, effect := range f.Replay.OtherEffects {
		bad.add("%s", effect)
	}
	replays, repeated := f.checkReplayedLetters(&bad)
	return bad.check("again", promise, "%d new notifications, %d replicas' statistics compared; %d dead letters came back, %d were written again",
		len(f.Replay.Deliveries), len(f.Replay.Stats), replays, repeated)
}

// checkReplayedLetters judges what is in the dead-letter topic afterwards: what was there, the same
// letters once more, which the reading from the beginning may have written, and for
// each replay the same letter, of the same group.
func (f *index) checkReplayedLetters(bad *violations) (replays, repeated int) {
	before := map[position]bool{}
	for _, r := range f.DLQ {
		before[position{r.Partition, r.Offset}] = true
	}
	wanted, left := f.expectedLetters(), len(before)
	for i := range f.Replay.DLQ {
		r := &f.Replay.DLQ[i]
		at := position{r.Partition, r.Offset}
		if before[at] {
			left--
			continue
		}
		group := r.Header("replay-group")
		l, err := parseLetterID(r)
		original := wanted[l]
		switch {
		case err != nil:
			bad.add("dead letter %s: %v", at, err)
		case group == "" && original != nil && contentKey(original.Key, original.Value) == contentKey(r.Key, r.Value):
			repeated++
		case group == "" && original != nil && f.isUndecodable(original):
			repeated++
		case group == "":
			bad.add("dead letter %s, %s, is new, and no replay: %s", at, l, r.Header("error"))
		case group != r.Header("consumer-group"):
			bad.add("dead letter %s was replayed to %s, and came from %s", at, group, r.Header("consumer-group"))
		case f.poison.find(r.Key, r.Value) == nil:
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
