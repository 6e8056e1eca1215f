package consumer_test

import (
	"testing"

	contract "example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
)

// FuzzRecord checks that each record is counted, skipped, or fails with a permanent
// error, so no producer can block a partition.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"id":"e1","type":"task.completed","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00Z"}`))
	f.Add([]byte(`{"type":"task.later","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00+14:00"}`))
	f.Add([]byte("\xff"))
	completed := event(7, "task.completed")
	f.Fuzz(func(t *testing.T, value []byte) {
		c := &fakeCounter{}
		h, _, _ := startHandler(t, c, 7)
		handled, err := h.Handle(t.Context(), []kafka.Record{completed, record(8, string(value))})
		_, parseErr := contract.Parse(value)
		switch {
		case parseErr != nil:
			if handled != 1 || !isPermanent(err) {
				t.Errorf("handled %d, %v; want 1 and a permanent error", handled, err)
			}
		case handled != 2 || err != nil:
			t.Errorf("handled %d, %v; want 2", handled, err)
		}
	})
}
