package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
	"example.com/todo/todo-service/internal/outbox"
	"example.com/todo/todo-service/internal/task"
)

func TestToKafkaWritesTheRecordOfEachEvent(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	at := time.Date(2026, 1, 15, 10, 0, 0, 123456000, time.UTC)
	batch := []task.Announcement{
		{
			Seq: 41, Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Event: task.Event{
				ID: "019bc0a4-7e40-7000-8000-000000000001", Type: task.Completed, At: at, Owner: 7,
				Task: task.Task{ID: 1, Title: "Learn <Go> & more", Priority: 2, Done: true, CreatedAt: created, CompletedAt: &at, Version: 2},
			},
		},
		{
			Seq: 42,
			Event: task.Event{
				ID: "019bc0a4-7e40-7000-8000-000000000002", Type: task.Deleted, At: at,
				Task: task.Task{ID: 12, Title: "Learn Go", CreatedAt: created, Version: 3},
			},
		},
	}
	want := []kafka.Record{
		{
			Topic: "task-events", Key: []byte("task-1"), Time: at,
			Value: []byte(`{"id":"019bc0a4-7e40-7000-8000-000000000001","type":"task.completed","task_id":1,"task_title":"Learn <Go> & more","user_id":7,` +
				`"timestamp":"2026-01-15T10:00:00.123456Z","task":{"id":1,"title":"Learn <Go> & more","priority":2,"done":true,` +
				`"created_at":"2026-01-15T09:00:00Z","completed_at":"2026-01-15T10:00:00.123456Z","version":2}}`),
			Headers: []kafka.Header{
				{Key: "event-type", Value: "task.completed"},
				{Key: "service", Value: "todo-service"},
				{Key: "event-id", Value: "019bc0a4-7e40-7000-8000-000000000001"},
				{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			},
		},
		{
			Topic: "task-events", Key: []byte("task-12"), Time: at,
			Value: []byte(`{"id":"019bc0a4-7e40-7000-8000-000000000002","type":"task.deleted","task_id":12,"task_title":"Learn Go",` +
				`"timestamp":"2026-01-15T10:00:00.123456Z","task":{"id":12,"title":"Learn Go","priority":0,"done":false,` +
				`"created_at":"2026-01-15T09:00:00Z","version":3}}`),
			Headers: []kafka.Header{
				{Key: "event-type", Value: "task.deleted"},
				{Key: "service", Value: "todo-service"},
				{Key: "event-id", Value: "019bc0a4-7e40-7000-8000-000000000002"},
			},
		},
	}
	var got fakeProducer
	if err := outbox.ToKafka(got.send)(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestEveryEventTypeIsPartOfTheContract(t *testing.T) {
	t.Parallel()
	for _, kind := range []task.EventType{task.Created, task.Updated, task.Completed, task.Reopened, task.Deleted} {
		if !(event.Event{Type: string(kind)}).Known() {
			t.Errorf("%s is not in the contract", kind)
		}
	}
}

func TestToKafkaReturnsErrorsAndSendsNoPartOfABatch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good := task.Announcement{Seq: 1, Event: task.Event{ID: "a", Type: task.Created, At: now, Task: task.Task{ID: 1, Title: "t", CreatedAt: now, Version: 1}}}
	unavailable := &fakeProducer{err: errUnavailable}
	if err := outbox.ToKafka(unavailable.send)(t.Context(), []task.Announcement{good}); !errors.Is(err, errUnavailable) {
		t.Errorf("got %v, want that of the producer", err)
	}
	unused := &fakeProducer{}
	err := outbox.ToKafka(unused.send)(t.Context(), []task.Announcement{good, {Event: task.Event{ID: "b"}}})
	if err == nil || !strings.Contains(err.Error(), "event b") {
		t.Errorf("got %v, want an error that names the event", err)
	}
	if len(unused.records) != 0 {
		t.Error("part of a batch was sent")
	}
}

type fakeProducer struct {
	records []kafka.Record
	err     error
}

func (p *fakeProducer) send(_ context.Context, records []kafka.Record) error {
	p.records = append(p.records, records...)
	return p.err
}
