package checker

// checkReplay checks idempotence: replaying the topic from its beginning, and the dead letters
// twice, changed nothing.
func checkReplay(ix *index) Check {
	const promise = "replaying the topic from its beginning, and the dead letters twice, changes nothing"
	var found violations
	if !ix.Replay.Done {
		if ix.Expected.Replay {
			found.add("nothing was replayed")
		}
		return found.check("replay", promise, "not replayed")
	}
	for i := range ix.Replay.Deliveries {
		d := &ix.Replay.Deliveries[i]
		found.add("%s: %s, task %d, was delivered again", formatTime(d.At), d.Key, d.TaskID)
	}
	ix.compareStats(ix.Replay.Stats, &found)
	if ix.Replay.Events != len(ix.Events) {
		found.add("there were %d events before the replay, and %d after it", len(ix.Events), ix.Replay.Events)
	}
	for _, effect := range ix.Replay.OtherEffects {
		found.add("%s", effect)
	}
	replays, repeated := ix.checkReplayedLetters(&found)
	return found.check("replay", promise, "%d new deliveries, statistics of %d replicas compared; %d dead letters replayed, %d written again",
		len(ix.Replay.Deliveries), len(ix.Replay.Stats), replays, repeated)
}

// checkReplayedLetters judges the dead-letter topic after the replay. It has the letters of
// before, possibly the same letters written again, and one letter for each replayed one, of the
// same group.
func (ix *index) checkReplayedLetters(found *violations) (replays, repeated int) {
	before := map[position]bool{}
	for _, r := range ix.DLQ {
		before[position{r.Partition, r.Offset}] = true
	}
	want, missing := ix.expectedLetters(), len(before)
	for i := range ix.Replay.DLQ {
		r := &ix.Replay.DLQ[i]
		at := position{r.Partition, r.Offset}
		if before[at] {
			missing--
			continue
		}
		group := r.Header("replay-group")
		l, err := parseLetterID(r)
		original := want[l]
		switch {
		case err != nil:
			found.add("dead letter %s: %v", at, err)
		case group == "" && original != nil && contentKey(original.Key, original.Value) == contentKey(r.Key, r.Value):
			repeated++
		case group == "" && original != nil && ix.isUndecodable(original):
			repeated++
		case group == "":
			found.add("dead letter %s, %s, is new and no replay: %s", at, l, r.Header("error"))
		case group != r.Header("consumer-group"):
			found.add("dead letter %s was replayed to %s and belongs to %s", at, group, r.Header("consumer-group"))
		case ix.poison.find(r.Key, r.Value) == nil:
			found.add("dead letter %s is a replay of a record that is no poison", at)
		default:
			replays++
		}
	}
	if missing > 0 {
		found.add("%d dead letters are missing", missing)
	}
	if len(want) > 0 && replays == 0 {
		found.add("no dead letter was replayed")
	}
	return replays, repeated
}
