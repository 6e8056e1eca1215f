package checker

import (
	"bytes"
	"fmt"
	"strconv"

	"example.com/todo/scripts/prove/internal/history"
)

// letterID is which record a dead letter is of, and whose.
type letterID struct {
	group    string
	original position
}

func (l letterID) String() string { return fmt.Sprintf("%s of %s", l.original, l.group) }

// checkDeadLetters compares the dead letters with the poison, both ways.
func checkDeadLetters(f *index) Check {
	var bad violations
	want := f.expectedLetters()
	buried, repeated, foreign := map[letterID]bool{}, 0, 0
	for i := range f.DLQ {
		r := &f.DLQ[i]
		if r.Header("replay-group") != "" {
			continue // judged with the replays
		}
		l, err := parseLetterID(r)
		if err != nil {
			bad.add("%s: %v", position{r.Partition, r.Offset}, err)
			continue
		}
		original := want[l]
		if original != nil && f.isUndecodable(original) {
			for _, l := range f.checkBatchLetter(r, l, want, &bad) {
				buried[l] = true
			}
			continue
		}
		switch {
		case original == nil:
			foreign++
			bad.add("%s is no poison, and is there: %s", l, r.Header("error"))
			continue
		case !bytes.Equal(r.Value, original.Value) || (r.Value == nil) != (original.Value == nil):
			bad.add("%s: its value is not the original's", l)
		case !bytes.Equal(r.Key, original.Key):
			bad.add("%s: its key is %q, the original's %q", l, r.Key, original.Key)
		}
		if wrong := explainIncompleteHeaders(r, original); wrong != "" {
			bad.add("%s: %s", l, wrong)
		}
		if buried[l] {
			repeated++
		}
		buried[l] = true
	}
	missing := 0
	for i := range f.records {
		for _, group := range f.expectedGroups(&f.records[i]) {
			if l := (letterID{group, f.records[i].position()}); !buried[l] {
				missing++
				bad.add("%s is poison, and is not there", l)
			}
		}
	}
	return bad.check("dead-letters", "the dead letters are exactly the poison, once per group, bytes equal; no transient failure",
		"%d of %d missing, %d foreign; %d written again after a crash", missing, len(want), foreign, repeated)
}

// isUndecodable tells whether the record is of a batch that no consumer can decode.
func (f *index) isUndecodable(r *history.Record) bool {
	planted := f.poison.find(r.Key, r.Value)
	return planted != nil && planted.Kind == history.UndecodableBatch
}

// checkBatchLetter returns what the letter of a batch stands for, and judges the letter: it
// begins with the batch, ends with it, and has nothing of what is in it.
func (f *index) checkBatchLetter(r *history.Record, first letterID, want map[letterID]*history.Record, bad *violations) []letterID {
	last, err := strconv.ParseInt(r.Header("original-last-offset"), 10, 64)
	size, err2 := strconv.ParseInt(r.Header("original-size"), 10, 64)
	if err != nil || err2 != nil || size <= 0 {
		bad.add("%s: it does not say how far the batch goes, and its size", first)
		return nil
	}
	if r.Key != nil || r.Value != nil {
		bad.add("%s: it has contents, of a batch that cannot be decoded", first)
	}
	if wrong := explainIncompleteHeaders(r, &history.Record{}); wrong != "" {
		bad.add("%s: %s", first, wrong)
	}
	var all []letterID
	for l := first; l.original.offset <= last; l.original.offset++ {
		if original := want[l]; original == nil || !f.isUndecodable(original) {
			bad.add("%s: the letter says that it goes to %d, and %s is not of the batch", first, last, l)
			break
		}
		all = append(all, l)
	}
	return all
}

// expectedLetters returns the records that have to be dead letters.
func (f *index) expectedLetters() map[letterID]*history.Record {
	want := map[letterID]*history.Record{}
	for i := range f.records {
		r := &f.records[i]
		for _, group := range f.expectedGroups(r) {
			want[letterID{group, r.position()}] = r.Record
		}
	}
	return want
}

// expectedGroups returns whose dead letter a record of the topic has to be.
func (f *index) expectedGroups(r *record) []string {
	if r.origin != originPoison {
		return nil
	}
	if p := f.poison.find(r.Key, r.Value); p != nil {
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

// explainIncompleteHeaders says what a dead letter does not tell of its original.
func explainIncompleteHeaders(r, original *history.Record) string {
	if attempts, err := strconv.Atoi(r.Header("attempts")); err != nil || attempts < 1 {
		return fmt.Sprintf("attempts is %q", r.Header("attempts"))
	}
	for _, name := range []string{"error", "original-topic", "failed-at"} {
		if r.Header(name) == "" {
			return "it has no " + name
		}
	}
	for _, h := range original.Headers {
		if r.Header(h.Key) != h.Value {
			return fmt.Sprintf("the original's header %s is not kept", h.Key)
		}
	}
	return ""
}
