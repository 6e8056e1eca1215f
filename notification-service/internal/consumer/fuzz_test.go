package consumer_test

import (
	"testing"

	contract "example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
)

// FuzzRecord checks that each record is handled, skipped, or fails with a permanent
// error, so no producer can block a partition.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"id":"e1","type":"task.completed","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00Z"}`), "00-1-2-3")
	f.Add([]byte(`{"type":"task.later","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00+14:00"}`), "")
	f.Add([]byte("\xff"), "\xff")
	f.Fuzz(func(t *testing.T, value []byte, trace string) {
		fixture := newFixture(0)
		fixture.start(t, 10)
		other := record(8, string(value))
		other.Headers = []kafka.Header{{Key: contract.HeaderTraceparent, Value: trace}}
		handled, err := fixture.Handle(t.Context(), []kafka.Record{event(7, "task.completed"), other})
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
