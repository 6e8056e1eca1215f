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
	completed := created.Add(time.Hour)
	for name, e := range map[string]task.Event{
		"every field set": {
			ID: "019bc0a4-7e40-7000-8000-000000000001", Type: task.Completed, Owner: 7, At: completed,
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

func TestFromContractRefusesAUserThatIsNotPositive(t *testing.T) {
	t.Parallel()
	for _, user := range []int64{0, -7} {
		e := eventcodec.ToContract(task.Event{Type: task.Created, Task: task.Task{ID: 1, Version: 1}})
		e.UserID = &user
		if got, err := eventcodec.FromContract(e); err == nil {
			t.Errorf("user %d: got %+v", user, got)
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
