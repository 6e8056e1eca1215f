package checker

import "example.com/todo/scripts/prove/internal/history"

// checkReplay checks idempotence: replaying the topic from its beginning, and the dead letters
// twice, changed nothing.
func checkReplay(ix *index, found *violations) string {
	if !ix.Replay.Done {
		if ix.Expected.Replay {
			found.add("nothing was replayed")
		}
		return "not replayed"
	}
	for _, d := range ix.Replay.Deliveries {
		found.add("%s: %s, task %d, was delivered again", formatTime(d.At), d.Key, d.TaskID)
	}
	ix.compareStats(ix.Replay.Stats, found)
	ix.compareUserReports(ix.Replay.UserReports, found)
	if ix.Replay.Events != len(ix.Events) {
		found.add("there were %d events before the replay, and %d after it", len(ix.Events), ix.Replay.Events)
	}
	for _, effect := range ix.Replay.OtherEffects {
		found.add("%s", effect)
	}
	replays, repeated := ix.judgeReplayedLetters(found)
	return sprintf("%d new deliveries, statistics of %d replicas compared; %d dead letters replayed, %d written again",
		len(ix.Replay.Deliveries), len(ix.Replay.Stats), replays, repeated)
}

// judgeReplayedLetters judges the dead-letter topic after the replay. It has the letters of
// before, possibly the same letters written again, and one letter for each replayed one, of the
// same group.
func (ix *index) judgeReplayedLetters(found *violations) (replays, repeated int) {
	before := map[history.Position]bool{}
	for _, l := range ix.letters {
		before[l.Position] = true
	}
	missing := len(before)
	for _, l := range ix.replayedLetters {
		group := l.Header("replay-group")
		switch {
		case before[l.Position]:
			missing--
		case !l.named:
			found.add("dead letter %s names no original", l.Position)
		case group == "" && l.original != nil && (l.original.kind == history.UndecodableBatch || l.hasContentOf(l.original)):
			repeated++
		case group == "":
			found.add("dead letter %s, %s, is new and no replay: %s", l.Position, l.id, l.Header("error"))
		case group != l.id.group:
			found.add("dead letter %s was replayed to %s and belongs to %s", l.Position, group, l.id.group)
		case ix.poisonKinds[contentKey(l.Key, l.Value)] == "":
			found.add("dead letter %s is a replay of a record that is no poison", l.Position)
		default:
			replays++
		}
	}
	if missing > 0 {
		found.add("%d dead letters are missing", missing)
	}
	if len(ix.expectedLetters) > 0 && replays == 0 {
		found.add("no dead letter was replayed")
	}
	return replays, repeated
}
