package eventcodec_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

func TestAnEventIsUnchangedAfterEncodingAndDecoding(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 1, 15, 10, 0, 0, 123456000, time.UTC)
	completed, user := created.Add(time.Hour), int64(7)
	for name, e := range map[string]task.Event{
		"every field set": {
			ID: "019bc0a4-7e40-7000-8000-000000000001", Type: task.Completed, UserID: &user, At: completed,
			Task: task.Task{ID: 1, Title: "Learn Go", Priority: 3, Done: true, CreatedAt: created, CompletedAt: &completed, Version: 2},
		},
		"required fields alone": {
			ID: "019bc0a4-7e40-7000-8000-000000000002", Type: task.Created, At: created,
			Task: task.Task{ID: 2, Title: "<Learn> \"more\" 日本", CreatedAt: created, Version: 1},
		},
	} {
		data, err := eventcodec.ToContract(e).Marshal()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parsed, err := event.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back, err := eventcodec.FromContract(parsed)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s (-sent +received):\n%s", name, diff)
		}
	}
}

func TestFromContractRefusesAnEventWithoutItsTask(t *testing.T) {
	t.Parallel()
	older := event.Event{Type: event.Created, TaskID: 1, TaskTitle: "Learn Go", Timestamp: time.Now()}
	if got, err := eventcodec.FromContract(older); err == nil {
		t.Errorf("got %+v", got)
	}
}
