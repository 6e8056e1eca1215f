package consumer_test

import (
	"testing"

	contract "example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
)

// Whatever a record holds, it is counted or passed over, or it is refused for
// good: nothing that others wrote holds a partition up.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"id":"e1","type":"task.completed","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00Z"}`))
	f.Add([]byte(`{"type":"task.later","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00+14:00"}`))
	f.Add([]byte("\xff"))
	completed := event(7, "task.completed")
	f.Fuzz(func(t *testing.T, value []byte) {
		c := &counter{}
		h, _, _ := started(t, c, 7)
		handled, err := h.Handle(t.Context(), []kafka.Record{completed, record(8, string(value))})
		parsed, unreadable := contract.Parse(value)
		switch {
		case unreadable != nil:
			if handled != 1 || !isPermanent(err) {
				t.Errorf("handled %d, %v; want 1 and a permanent error", handled, err)
			}
		case handled != 2 || err != nil:
			t.Errorf("handled %d, %v; want 2", handled, err)
		case parsed.Known() != (len(c.events) == 2):
			t.Errorf("%d events of %s", len(c.events), parsed.Type)
		}
	})
}
