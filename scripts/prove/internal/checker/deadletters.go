package checker

import (
	"bytes"
	"fmt"
	"strconv"

	"example.com/todo/scripts/prove/internal/history"
)

// letterID identifies a dead letter: the consumer group, and the position of the original record.
type letterID struct {
	group    string
	original position
}

func (l letterID) String() string { return fmt.Sprintf("%s of %s", l.original, l.group) }

// checkDeadLetters compares the dead letters with the poison in both directions.
func checkDeadLetters(ix *index) Check {
	var found violations
	want := ix.expectedLetters()
	written, repeated, unexpected := map[letterID]bool{}, 0, 0
	for i := range ix.DLQ {
		r := &ix.DLQ[i]
		if r.Header("replay-group") != "" {
			continue // checkReplayedLetters judges it
		}
		l, err := parseLetterID(r)
		if err != nil {
			found.add("%s: %v", position{r.Partition, r.Offset}, err)
			continue
		}
		original := want[l]
		if original != nil && ix.isUndecodable(original) {
			for _, l := range ix.checkBatchLetter(r, l, want, &found) {
				written[l] = true
			}
			continue
		}
		switch {
		case original == nil:
			unexpected++
			found.add("%s is dead-lettered and is no poison: %s", l, r.Header("error"))
			continue
		case !bytes.Equal(r.Value, original.Value) || (r.Value == nil) != (original.Value == nil):
			found.add("%s: its value differs from the original's", l)
		case !bytes.Equal(r.Key, original.Key):
			found.add("%s: its key is %q, the original's %q", l, r.Key, original.Key)
		}
		if wrong := explainIncompleteHeaders(r, original); wrong != "" {
			found.add("%s: %s", l, wrong)
		}
		if written[l] {
			repeated++
		}
		written[l] = true
	}
	missing := 0
	for i := range ix.records {
		for _, group := range ix.expectedGroups(&ix.records[i]) {
			if l := (letterID{group, ix.records[i].position()}); !written[l] {
				missing++
				found.add("%s is poison and is not dead-lettered", l)
			}
		}
	}
	return found.check("dead-letters", "the dead letters are exactly the poison, once per group and byte for byte; no transient failure is dead-lettered",
		"%d of %d missing, %d unexpected; %d written again after a crash", missing, len(want), unexpected, repeated)
}

// isUndecodable reports whether the record is part of a batch that no consumer can decode.
func (ix *index) isUndecodable(r *history.Record) bool {
	injected := ix.poison.find(r.Key, r.Value)
	return injected != nil && injected.Kind == history.UndecodableBatch
}

// checkBatchLetter checks the dead letter of a batch, and returns the ids that it stands for. The
// letter names the first and the last offset of the batch and has none of its contents.
func (ix *index) checkBatchLetter(r *history.Record, first letterID, want map[letterID]*history.Record, found *violations) []letterID {
	last, err := strconv.ParseInt(r.Header("original-last-offset"), 10, 64)
	size, err2 := strconv.ParseInt(r.Header("original-size"), 10, 64)
	if err != nil || err2 != nil || size <= 0 {
		found.add("%s: it lacks the last offset or the size of the batch", first)
		return nil
	}
	if r.Key != nil || r.Value != nil {
		found.add("%s: it has contents, although the batch cannot be decoded", first)
	}
	if wrong := explainIncompleteHeaders(r, &history.Record{}); wrong != "" {
		found.add("%s: %s", first, wrong)
	}
	var all []letterID
	for l := first; l.original.offset <= last; l.original.offset++ {
		if original := want[l]; original == nil || !ix.isUndecodable(original) {
			found.add("%s: it names the last offset %d, and %s is not part of the batch", first, last, l)
			break
		}
		all = append(all, l)
	}
	return all
}

// expectedLetters returns the original records of all expected dead letters.
func (ix *index) expectedLetters() map[letterID]*history.Record {
	want := map[letterID]*history.Record{}
	for i := range ix.records {
		r := &ix.records[i]
		for _, group := range ix.expectedGroups(r) {
			want[letterID{group, r.position()}] = r.Record
		}
	}
	return want
}

// expectedGroups returns the groups that must dead-letter a record of the topic.
func (ix *index) expectedGroups(r *record) []string {
	if r.origin != originPoison {
		return nil
	}
	if p := ix.poison.find(r.Key, r.Value); p != nil {
		return p.Groups
	}
	return nil
}

func parseLetterID(r *history.Record) (letterID, error) {
	partition, err := strconv.ParseInt(r.Header("original-partition"), 10, 32)
	if err != nil {
		return letterID{}, fmt.Errorf("original-partition is %q", r.Header("original-partition"))
	}
	offset, err := strconv.ParseInt(r.Header("original-offset"), 10, 64)
	if err != nil {
		return letterID{}, fmt.Errorf("original-offset is %q", r.Header("original-offset"))
	}
	return letterID{r.Header("consumer-group"), position{int32(partition), offset}}, nil
}

// explainIncompleteHeaders returns what the headers of a dead letter do not say about its
// original, or "".
func explainIncompleteHeaders(r, original *history.Record) string {
	if attempts, err := strconv.Atoi(r.Header("attempts")); err != nil || attempts < 1 {
		return fmt.Sprintf("attempts is %q", r.Header("attempts"))
	}
	for _, name := range []string{"error", "original-topic", "failed-at"} {
		if r.Header(name) == "" {
			return "it lacks the header " + name
		}
	}
	for _, h := range original.Headers {
		if r.Header(h.Key) != h.Value {
			return fmt.Sprintf("it lacks the original's header %s", h.Key)
		}
	}
	return ""
}
