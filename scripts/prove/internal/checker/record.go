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

// origin is who wrote a record to the topic.
type origin int

const (
	originSystem origin = iota // the system
	originCopy                 // prove, a second time
	originPoison               // prove, to be refused
	originReplay               // the replay of a dead letter
)

// record is a record of the topic, and what it says.
type record struct {
	*history.Record
	origin   origin
	event    *history.Event // that it announces; nil when it is none of the table's
	mismatch string         // how it differs from what the table says
}

// position is where a record is in the topic.
type position struct {
	partition int32
	offset    int64
}

func (r *record) position() position { return position{r.Partition, r.Offset} }

func (p position) String() string { return fmt.Sprintf("%d/%d", p.partition, p.offset) }

// classifyRecords finds out what each record is.
func (f *index) classifyRecords() {
	planted := map[position]origin{}
	for _, p := range f.Copies {
		planted[position{p.Partition, p.Offset}] = originCopy
	}
	for _, p := range f.Poison {
		planted[position{p.Partition, p.Offset}] = originPoison
	}
	f.poison = newPoisonIndex(f.Poison)
	slices.SortFunc(f.Topic, func(a, b history.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	f.records = make([]record, len(f.Topic))
	filled := map[int32]bool{}
	for i := range f.Topic {
		r := &f.records[i]
		r.Record = &f.Topic[i]
		r.origin = planted[r.position()]
		filled[r.Partition] = true
		switch {
		case r.Header("replay-group") != "":
			r.origin = originReplay
		case r.origin == originSystem && f.poison.find(r.Key, r.Value) != nil:
			r.origin = originPoison // sent again by the planter, after an answer that was lost
		}
		if r.origin == originSystem || r.origin == originCopy {
			f.matchEvent(r)
		}
	}
	f.usedPartitions = len(filled)
}

// matchEvent finds the event that a record announces, and remembers its first record.
func (f *index) matchEvent(r *record) {
	said, err := parseEvent(r.Value)
	if err != nil {
		r.mismatch = err.Error()
		return
	}
	if r.event = f.eventsByID[said.ID]; r.event == nil {
		r.mismatch = "the table has no event " + said.ID
		return
	}
	r.mismatch = said.explainDifference(r.Record, r.event)
	if r.origin != originSystem || r.mismatch != "" {
		return
	}
	if first := f.firstRecords[r.event.ID]; first == nil || first.Time.After(r.Time) && first.Partition != r.Partition {
		f.firstRecords[r.event.ID] = r
	}
}

// wireEvent is an event as it is on the wire.
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

// explainDifference says in what a record is not the event of the table; "" means that it is.
func (s wireEvent) explainDifference(r *history.Record, e *history.Event) string {
	key := fmt.Appendf(nil, "task-%d", e.TaskID)
	switch {
	case !bytes.Equal(r.Key, key):
		return fmt.Sprintf("its key is %q", r.Key)
	case r.Header("event-id") != e.ID || r.Header("event-type") != e.Type:
		return "its headers name another event"
	case s.Task == nil:
		return "it has no task"
	case s.Type != e.Type, s.TaskID != e.TaskID, s.TaskTitle != e.Title, s.Task.ID != e.TaskID,
		s.Task.Title != e.Title, s.Task.Priority != e.Priority, s.Task.Done != e.Done, s.Task.Version != e.Version:
		return fmt.Sprintf("it says %s of task %d, version %d, %q", s.Type, s.TaskID, s.Task.Version, s.TaskTitle)
	case !s.Timestamp.Equal(e.At):
		return fmt.Sprintf("it says that it was at %s, the table %s", formatTime(s.Timestamp), formatTime(e.At))
	}
	return ""
}

// formatTime writes a time as offenders are named with it.
func formatTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }
