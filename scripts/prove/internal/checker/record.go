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
	sent     origin = iota // the system
	copied                 // prove, a second time
	poisoned               // prove, to be refused
	replayed               // the replay of a dead letter
)

// record is a record of the topic, and what it says.
type record struct {
	*history.Record
	origin origin
	event  *history.Event // that it announces; nil when it is none of the table's
	wrong  string         // how it differs from what the table says
}

// place is where a record is in the topic.
type place struct {
	partition int32
	offset    int64
}

func (r *record) place() place { return place{r.Partition, r.Offset} }

func (p place) String() string { return fmt.Sprintf("%d/%d", p.partition, p.offset) }

// readTopic finds out what each record is.
func (f *facts) readTopic() {
	planted := map[place]origin{}
	for _, p := range f.Copies {
		planted[place{p.Partition, p.Offset}] = copied
	}
	for _, p := range f.Poison {
		planted[place{p.Partition, p.Offset}] = poisoned
	}
	f.poison = newPoison(f.Poison)
	slices.SortFunc(f.Topic, func(a, b history.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	f.records = make([]record, len(f.Topic))
	filled := map[int32]bool{}
	for i := range f.Topic {
		r := &f.records[i]
		r.Record = &f.Topic[i]
		r.origin = planted[r.place()]
		filled[r.Partition] = true
		switch {
		case r.Header("replay-group") != "":
			r.origin = replayed
		case r.origin == sent && f.poison.like(r.Key, r.Value) != nil:
			r.origin = poisoned // sent again by the planter, after an answer that was lost
		}
		if r.origin == sent || r.origin == copied {
			f.recognise(r)
		}
	}
	f.partitions = len(filled)
}

// recognise finds the event that a record announces, and remembers its first record.
func (f *facts) recognise(r *record) {
	said, err := parse(r.Value)
	if err != nil {
		r.wrong = err.Error()
		return
	}
	if r.event = f.events[said.ID]; r.event == nil {
		r.wrong = "the table has no event " + said.ID
		return
	}
	r.wrong = said.differs(r.Record, r.event)
	if r.origin != sent || r.wrong != "" {
		return
	}
	if first := f.firsts[r.event.ID]; first == nil || first.Time.After(r.Time) && first.Partition != r.Partition {
		f.firsts[r.event.ID] = r
	}
}

// said is an event as it is on the wire.
type said struct {
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

func parse(value []byte) (said, error) {
	var s said
	if value == nil {
		return s, fmt.Errorf("null")
	}
	err := json.Unmarshal(value, &s)
	return s, err
}

// differs says in what a record is not the event of the table; "" means that it is.
func (s said) differs(r *history.Record, e *history.Event) string {
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
		return fmt.Sprintf("it says that it was at %s, the table %s", stamp(s.Timestamp), stamp(e.At))
	}
	return ""
}

// stamp writes a time as offenders are named with it.
func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
