package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/contracts/event"
)

func TestMarshalWritesUTCAndDoesNotChangeTheEvent(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+2", 2*60*60)
	at := time.Date(2026, 1, 16, 1, 30, 0, 500_000_000, zone)
	e := event.Event{
		Type: event.Completed, TaskID: 1, TaskTitle: "Learn Go", Timestamp: at,
		Task: &event.Task{ID: 1, Title: "Learn Go", Done: true, CreatedAt: at, CompletedAt: &at, Version: 2},
	}
	got, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const utc = `"2026-01-15T23:30:00.5Z"`
	want := `{"type":"task.completed","task_id":1,"task_title":"Learn Go","timestamp":` + utc +
		`,"task":{"id":1,"title":"Learn Go","priority":0,"done":true,"created_at":` + utc + `,"completed_at":` + utc + `,"version":2}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Marshal (-want +got):\n%s", diff)
	}
	if e.Task.CreatedAt.Location() != zone || at.Location() != zone {
		t.Error("Marshal changed the event it was given")
	}
}

func TestMarshalRejectsWhatParseRejects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*event.Event)
		field  string
	}{
		"no type":            {func(e *event.Event) { e.Type = "" }, "type"},
		"type not UTF-8":     {func(e *event.Event) { e.Type = "\xff" }, "type"},
		"id not UTF-8":       {func(e *event.Event) { e.ID = "\xff" }, "id"},
		"task id 0":          {func(e *event.Event) { e.TaskID = 0 }, "task_id"},
		"title not UTF-8":    {func(e *event.Event) { e.TaskTitle = "\xff" }, "task_title"},
		"no time":            {func(e *event.Event) { e.Timestamp = time.Time{} }, "timestamp"},
		"the year 10000":     {func(e *event.Event) { e.Timestamp = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "timestamp"},
		"task: id 0":         {func(e *event.Event) { e.Task.ID = 0 }, "task.id"},
		"task: title":        {func(e *event.Event) { e.Task.Title = "\xff" }, "task.title"},
		"task: version 0":    {func(e *event.Event) { e.Task.Version = 0 }, "task.version"},
		"task: no creation":  {func(e *event.Event) { e.Task.CreatedAt = time.Time{} }, "task.created_at"},
		"task: no completed": {func(e *event.Event) { e.Task.CompletedAt = new(time.Time) }, "task.completed_at"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := goldens()["completed.json"]
			tt.change(&e)
			data, err := e.Marshal()
			if err == nil {
				t.Fatalf("Marshal accepts it: %s", data)
			}
			if !strings.HasPrefix(err.Error(), "event: "+tt.field+" must ") {
				t.Errorf("the error is %q, want one about %s", err, tt.field)
			}
		})
	}
}

func TestLongestTitleNeedsATenthOfMaxBytes(t *testing.T) {
	t.Parallel()
	title := strings.Repeat("\u2028", 500) // the character with the longest JSON form
	e := goldens()["completed_by_user.json"]
	e.TaskTitle, e.Task.Title = title, title
	wire, err := e.Marshal()
	if err != nil || len(wire) > event.MaxBytes/10 {
		t.Errorf("%d bytes, %v", len(wire), err)
	}
	e.Task.Title = strings.Repeat("x", event.MaxBytes)
	if _, err := e.Marshal(); err == nil {
		t.Error("Marshal writes more than Parse reads")
	}
}

func TestKeyIsTheSameForEveryEventOfATask(t *testing.T) {
	t.Parallel()
	if got := event.Key(42); got != "task-42" {
		t.Errorf("Key(42) = %q", got)
	}
}

func TestOnlyTheFiveTypesAreKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"task.created", "task.updated", "task.completed", "task.reopened", "task.deleted"} {
		if !(event.Event{Type: name}).Known() {
			t.Errorf("%s is not known", name)
		}
	}
	for _, name := range []string{"", "task", "task.archived", "TASK.CREATED"} {
		if (event.Event{Type: name}).Known() {
			t.Errorf("%q is known", name)
		}
	}
}

func TestIdentityIsTheTypeAndTheID(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]event.Event{
		"task.completed:0198": {Type: event.Completed, ID: "0198", TaskID: 7},
		"task.reopened:0198":  {Type: event.Reopened, ID: "0198", TaskID: 7},
		"task.completed:7":    {Type: event.Completed, TaskID: 7},
	} {
		if got := e.Identity(); got != want {
			t.Errorf("%+v: identity %q, want %q", e, got, want)
		}
	}
}
