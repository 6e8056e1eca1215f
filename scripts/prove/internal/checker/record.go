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
	*history.Record
	origin   origin
	event    *history.Event // row of the table; nil if no row matches
	mismatch string         // how the record differs from the row, or ""
}

// position is a record's partition and offset.
type position struct {
	partition int32
	offset    int64
}

func (r *record) position() position { return position{r.Partition, r.Offset} }

func (p position) String() string { return fmt.Sprintf("%d/%d", p.partition, p.offset) }

// classifyRecords finds the origin and the event of each record.
func (ix *index) classifyRecords() {
	origins := map[position]origin{}
	for _, p := range ix.Copies {
		origins[position{p.Partition, p.Offset}] = originCopy
	}
	for _, p := range ix.Poison {
		origins[position{p.Partition, p.Offset}] = originPoison
	}
	ix.poison = newPoisonIndex(ix.Poison)
	slices.SortFunc(ix.Topic, func(a, b history.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	ix.records = make([]record, len(ix.Topic))
	used := map[int32]bool{}
	for i := range ix.Topic {
		r := &ix.records[i]
		r.Record = &ix.Topic[i]
		r.origin = origins[r.position()]
		used[r.Partition] = true
		switch {
		case r.Header("replay-group") != "":
			r.origin = originReplay
		case r.origin == originSystem && ix.poison.find(r.Key, r.Value) != nil:
			r.origin = originPoison // the rogue producer repeated it after a lost response
		}
		if r.origin == originSystem || r.origin == originCopy {
			ix.matchEvent(r)
		}
	}
	ix.usedPartitions = len(used)
}

// matchEvent finds the event that a record announces, and keeps the first record of each event.
func (ix *index) matchEvent(r *record) {
	announced, err := parseEvent(r.Value)
	if err != nil {
		r.mismatch = err.Error()
		return
	}
	if r.event = ix.eventsByID[announced.ID]; r.event == nil {
		r.mismatch = "the table has no event " + announced.ID
		return
	}
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
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	TaskID    int64     `json:"task_id"`
	TaskTitle string    `json:"task_title"`
	Timestamp time.Time `json:"timestamp"`
	Task      *struct {
		ID       int64  `json:"id"`
		Title    string `json:"title"`
		Priority int32  `json:"priority"`
		Done     bool   `json:"done"`
		Version  int64  `json:"version"`
	} `json:"task"`
}

func parseEvent(value []byte) (wireEvent, error) {
	var s wireEvent
	if value == nil {
		return s, fmt.Errorf("null")
	}
	err := json.Unmarshal(value, &s)
	return s, err
}

// explainDifference returns how the record differs from the event in the table, or "".
func (s wireEvent) explainDifference(r *history.Record, e *history.Event) string {
	key := fmt.Appendf(nil, "task-%d", e.TaskID)
	switch {
	case !bytes.Equal(r.Key, key):
		return fmt.Sprintf("its key is %q", r.Key)
	case r.Header("event-id") != e.ID || r.Header("event-type") != e.Type:
		return "its headers name another event or type"
	case s.Task == nil:
		return "it lacks the task"
	case s.Type != e.Type, s.TaskID != e.TaskID, s.TaskTitle != e.Title, s.Task.ID != e.TaskID,
		s.Task.Title != e.Title, s.Task.Priority != e.Priority, s.Task.Done != e.Done, s.Task.Version != e.Version:
		return fmt.Sprintf("it says %s of task %d, version %d, %q", s.Type, s.TaskID, s.Task.Version, s.TaskTitle)
	case !s.Timestamp.Equal(e.At):
		return fmt.Sprintf("its timestamp is %s, the table's %s", formatTime(s.Timestamp), formatTime(e.At))
	}
	return ""
}

// formatTime formats a time for the details of a check.
func formatTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }
