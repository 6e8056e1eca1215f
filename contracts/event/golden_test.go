package event_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/todo/contracts/event"
)

// goldens returns the event of each golden file by the file's name.
func goldens() map[string]event.Event {
	created := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	at := created.Add
	ptr := func(d time.Duration) *time.Time { return new(at(d)) }
	const micros = 123456 * time.Microsecond
	user := int64(7)
	return map[string]event.Event{
		"created.json": {
			ID: "019bc119-0100-7a3e-9f5e-0d1c5a9b7e01", Type: event.Created, TaskID: 1, TaskTitle: "Learn Go", Timestamp: created,
			Task: &event.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: created, Version: 1},
		},
		"updated.json": {
			ID: "019bc119-1061-7c08-8d2a-41f0e7b3c902", Type: event.Updated, TaskID: 1, TaskTitle: "Learn Go & <gRPC>, schön",
			Timestamp: at(3937 * time.Millisecond),
			Task:      &event.Task{ID: 1, Title: "Learn Go & <gRPC>, schön", Priority: 100, CreatedAt: created, Version: 2},
		},
		"completed.json": {
			ID: "019bc119-ebdb-7d15-a4c7-9be2f8061d03", Type: event.Completed, TaskID: 1, TaskTitle: "Learn Go", Timestamp: at(time.Minute + micros),
			Task: &event.Task{ID: 1, Title: "Learn Go", Priority: 1, Done: true, CreatedAt: created, CompletedAt: ptr(time.Minute + micros), Version: 2},
		},
		"completed_by_user.json": {
			ID: "019bc119-eb60-7d15-a4c7-9be2f8061d04", Type: event.Completed, TaskID: 1<<63 - 1, TaskTitle: "Learn Go", UserID: &user, Timestamp: at(time.Minute),
			Task: &event.Task{ID: 1<<63 - 1, Title: "Learn Go", Done: true, CreatedAt: created, CompletedAt: ptr(time.Minute), Version: 2},
		},
		"reopened.json": {
			ID: "019bc11a-d5c0-7e22-b1d4-63a7c0f59e05", Type: event.Reopened, TaskID: 1, TaskTitle: "Learn Go", Timestamp: at(2 * time.Minute),
			Task: &event.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: created, Version: 3},
		},
		"deleted.json": {
			ID: "019bc11b-c020-7f3f-8ee1-2c94d7b86a06", Type: event.Deleted, TaskID: 1, TaskTitle: "Learn Go", Timestamp: at(3 * time.Minute),
			Task: &event.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: created, Version: 4},
		},
		"older.json": {Type: event.Completed, TaskID: 1, TaskTitle: "Learn Go", Timestamp: created},
	}
}

func TestMarshalEqualsTheGoldenFilesByteForByte(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for name, want := range goldens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := golden(t, name)
			got, err := event.Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			again, err := want.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(wire), string(again)); diff != "" {
				t.Errorf("Marshal (-golden +got):\n%s", diff)
			}
			if err := validate(schema, wire); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
}

func TestEveryGoldenFileHasItsEvent(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	known, types := goldens(), make(map[string]bool)
	for _, file := range files {
		e, ok := known[filepath.Base(file)]
		if !ok {
			t.Errorf("no test reads %s", file)
		}
		types[e.Type] = true
	}
	want := map[string]bool{event.Created: true, event.Updated: true, event.Completed: true, event.Reopened: true, event.Deleted: true}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("types with a golden (-want +got):\n%s", diff)
	}
}

// golden returns the content of a golden file without the newline at its end.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(data, []byte("\n"))
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("schema/task-event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate returns an error when data is not JSON or does not match the schema.
func validate(schema *jsonschema.Schema, data []byte) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}
