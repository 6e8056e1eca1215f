package checker

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// origin is which producer wrote a record to the topic.
type origin int

const (
	originSystem origin = iota // todo-service
	originCopy                 // the rogue producer, copying an event
	originPoison               // the rogue producer, writing poison
	originReplay               // "dlq replay"
)

// record is a record of the topic and the event that it announces.
type record struct {
	history.Record
	origin   origin
	kind     string         // of poison
	event    *history.Event // row of the table; nil if no row matches
	mismatch string         // how the record differs from the row, or ""
	user     int64          // that the record names, 0 for none
}

// contentKey identifies a record's content; null and empty values differ.
func contentKey(key, value []byte) string {
	if value == nil {
		return string(key) + "\x00null"
	}
	return string(key) + "\x00=" + string(value)
}

// classifyRecords finds the origin and the event of each record, and the letters that poison
// must have.
func (ix *index) classifyRecords() {
	copies := map[history.Position]bool{}
	for _, p := range ix.Copies {
		copies[p.Position] = true
	}
	for _, p := range ix.Poison {
		ix.poisonKinds[contentKey(p.Key, p.Value)] = p.Kind
	}
	for _, r := range ix.Topic {
		r := &record{Record: r, kind: ix.poisonKinds[contentKey(r.Key, r.Value)]}
		switch {
		case r.Header("replay-group") != "":
			r.origin = originReplay
		case r.kind != "": // or repeated by the rogue producer after a lost response
			r.origin = originPoison
			for _, group := range history.Groups {
				ix.expectedLetters[letterID{group, r.Position}] = r
			}
		case copies[r.Position]:
			r.origin = originCopy
		}
		ix.records = append(ix.records, r)
		ix.usedPartitions[r.Partition] = true
	}
	slices.SortFunc(ix.records, func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	for _, r := range ix.records {
		if r.origin == originSystem || r.origin == originCopy {
			ix.matchEvent(r)
		}
	}
}

// matchEvent finds the event that a record announces, and keeps the first record of each event.
func (ix *index) matchEvent(r *record) {
	var announced wireEvent
	if err := json.Unmarshal(r.Value, &announced); err != nil {
		r.mismatch = err.Error()
		return
	}
	if r.event = ix.eventsByID[announced.ID]; r.event == nil {
		r.mismatch = "the table has no event " + announced.ID
		return
	}
	r.user = announced.UserID
	r.mismatch = announced.explainDifference(r.Record, r.event)
	if r.origin != originSystem || r.mismatch != "" {
		return
	}
	if first := ix.firstRecords[r.event.ID]; first == nil || first.Time.After(r.Time) && first.Partition != r.Partition {
		ix.firstRecords[r.event.ID] = r
	}
}

// wireEvent is an event as the topic has it.
type wireEvent struct {
	ID        string
	Type      string
	TaskID    int64  `json:"task_id"`
	TaskTitle string `json:"task_title"`
	UserID    int64  `json:"user_id"`
	Timestamp time.Time
	Task      *history.Task
}

// explainDifference returns how the record differs from the event in the table, or "".
func (s wireEvent) explainDifference(r history.Record, e *history.Event) string {
	switch {
	case !bytes.Equal(r.Key, fmt.Appendf(nil, "task-%d", e.Task.ID)):
		return fmt.Sprintf("its key is %q", r.Key)
	case r.Header("event-id") != e.ID || r.Header("event-type") != e.Type:
		return "its headers name another event or type"
	case s.Task == nil:
		return "it lacks the task"
	case s.Type != e.Type, s.TaskID != e.Task.ID, s.TaskTitle != e.Title, *s.Task != e.Task:
		return fmt.Sprintf("it says %s of task %d, version %d, %q", s.Type, s.TaskID, s.Task.Version, s.TaskTitle)
	case !s.Timestamp.Equal(e.At):
		return fmt.Sprintf("its timestamp is %s, the table's %s", formatTime(s.Timestamp), formatTime(e.At))
	}
	return ""
}
