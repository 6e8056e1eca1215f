package checker

import (
	"fmt"
	"strconv"

	"example.com/todo/scripts/prove/internal/history"
)

// letter is a record of the dead-letter topic.
type letter struct {
	history.Record
	id       letterID
	named    bool    // its headers have the id
	original *record // the poison of the id; nil if it is none
}

// letterID identifies a dead letter: the consumer group, and the position of the original record.
type letterID struct {
	group string
	history.Position
}

func (l letterID) String() string { return fmt.Sprintf("%s of %s", l.Position, l.group) }

func (ix *index) parseLetters(records []history.Record) []letter {
	letters := make([]letter, len(records))
	for i, r := range records {
		partition, err := strconv.ParseInt(r.Header("original-partition"), 10, 32)
		offset, err2 := strconv.ParseInt(r.Header("original-offset"), 10, 64)
		id := letterID{r.Header("consumer-group"), history.Position{Partition: int32(partition), Offset: offset}}
		letters[i] = letter{Record: r, id: id, named: err == nil && err2 == nil, original: ix.expectedLetters[id]}
	}
	return letters
}

func (l letter) hasContentOf(r *record) bool {
	return contentKey(l.Key, l.Value) == contentKey(r.Key, r.Value)
}

// checkDeadLetters compares the dead letters with the poison in both directions.
func checkDeadLetters(ix *index, found *violations) string {
	written, repeated, unexpected := map[letterID]bool{}, 0, 0
	for _, l := range ix.letters {
		switch {
		case l.Header("replay-group") != "":
			continue // check "replay" judges it
		case !l.named:
			found.add("%s names no original: partition %q, offset %q",
				l.Position, l.Header("original-partition"), l.Header("original-offset"))
			continue
		case l.original == nil:
			unexpected++
			found.add("%s is dead-lettered and is no poison: %s", l.id, l.Header("error"))
			continue
		}
		ids, wrong := []letterID{l.id}, l.explainDifference()
		if l.original.kind == history.UndecodableBatch {
			ids, wrong = ix.judgeBatchLetter(l)
		}
		if wrong != "" {
			found.add("%s: %s", l.id, wrong)
		}
		if written[l.id] {
			repeated++
		}
		for _, id := range ids {
			written[id] = true
		}
	}
	missing := 0
	for _, r := range ix.records {
		for _, group := range history.Groups {
			if id := (letterID{group, r.Position}); r.origin == originPoison && !written[id] {
				missing++
				found.add("%s is poison and is not dead-lettered", id)
			}
		}
	}
	return sprintf("%d of %d missing, %d unexpected; %d written again after a crash",
		missing, len(ix.expectedLetters), unexpected, repeated)
}

// explainDifference returns how a letter differs from its original, or "".
func (l letter) explainDifference() string {
	if !l.hasContentOf(l.original) {
		return fmt.Sprintf("its key %q or its value differs from the original's", l.Key)
	}
	return l.explainIncompleteHeaders(l.original.Headers)
}

// judgeBatchLetter returns the ids that the letter of a batch stands for, and what is wrong with
// it, or "". The letter names the first and the last offset of the batch and has none of its
// contents.
func (ix *index) judgeBatchLetter(l letter) (ids []letterID, wrong string) {
	last, err := strconv.ParseInt(l.Header("original-last-offset"), 10, 64)
	size, err2 := strconv.ParseInt(l.Header("original-size"), 10, 64)
	if err != nil || err2 != nil || size <= 0 {
		return nil, "it lacks the last offset or the size of the batch"
	}
	for id := l.id; id.Offset <= last; id.Offset++ {
		if original := ix.expectedLetters[id]; original == nil || original.kind != history.UndecodableBatch {
			return ids, fmt.Sprintf("it names the last offset %d, and %s is not part of the batch", last, id)
		}
		ids = append(ids, id)
	}
	if l.Key != nil || l.Value != nil {
		return ids, "it has contents, although the batch cannot be decoded"
	}
	return ids, l.explainIncompleteHeaders(nil)
}

// explainIncompleteHeaders returns what the headers of a letter do not say about its original, or
// "".
func (l letter) explainIncompleteHeaders(original []history.Header) string {
	if attempts, err := strconv.Atoi(l.Header("attempts")); err != nil || attempts < 1 {
		return fmt.Sprintf("attempts is %q", l.Header("attempts"))
	}
	for _, name := range []string{"error", "original-topic", "failed-at"} {
		if l.Header(name) == "" {
			return "it lacks the header " + name
		}
	}
	for _, h := range original {
		if l.Header(h.Key) != h.Value {
			return fmt.Sprintf("it lacks the original's header %s", h.Key)
		}
	}
	return ""
}

// publishedCompletions returns the ids of the completions by which a group's effects are judged.
// A completion is due if the topic has a record of it that the group did not dead-letter. It is
// in deadLettered if the group dead-lettered all its records although they are no poison; its
// effect may or may not exist. Check "events" reports missing records, "dead-letters" wrong
// letters.
func (ix *index) publishedCompletions(group string) (due, deadLettered map[string]bool) {
	letters := map[letterID]bool{}
	for _, l := range ix.letters {
		letters[l.id] = letters[l.id] || l.named && l.Header("replay-group") == ""
	}
	due, deadLettered = map[string]bool{}, map[string]bool{}
	for _, r := range ix.records {
		switch {
		case r.event == nil || r.event.Type != completed:
		case letters[letterID{group, r.Position}]:
			deadLettered[r.event.ID] = true
		default:
			due[r.event.ID] = true
		}
	}
	for id := range due {
		delete(deadLettered, id)
	}
	return due, deadLettered
}
