package openapi_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/todo/contracts/openapi"
)

const eventSchema = "../event/schema/task-event.schema.json"

func TestEventsAreThoseOfTheEventsSchema(t *testing.T) {
	t.Parallel()
	schemas := load(t, openapi.Todo).Components.Schemas
	var other struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(read(t, eventSchema), &other); err != nil {
		t.Fatal(err)
	}
	for name, properties := range map[string]map[string]any{"Event": other.Properties, "Task": other.Defs["task"].Properties} {
		want, got := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(schemas[name].Value.Properties))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members of %s (-JSON Schema +OpenAPI):\n%s", name, diff)
		}
	}
}

// What the service answers with is what it sends today: all that the event's
// schema refuses is refused, and the older shape beside it.
func TestAnAnsweredEventIsASentEvent(t *testing.T) {
	t.Parallel()
	sent, answered := compile(t, string(read(t, eventSchema)), ""), compile(t, openapi.Todo, "/components/schemas/Event")
	refusals := 0
	for _, name := range goldens(t) {
		golden := decode(t, read(t, name))
		if err := answered.Validate(golden); (err != nil) != (filepath.Base(name) == "older.json") {
			t.Errorf("%s: %v", name, err)
		}
		for _, spoilt := range spoil(golden) {
			if sent.Validate(spoilt) == nil {
				continue
			}
			refusals++
			if answered.Validate(spoilt) == nil {
				t.Errorf("%s: the event's schema refuses %v, the document does not", name, spoilt)
			}
		}
	}
	if refusals == 0 {
		t.Error("nothing was refused: this test looks at nothing")
	}
}

// spoil returns the object in many ways with one member, at any depth, left out
// or of another value.
func spoil(object map[string]any) (all []map[string]any) {
	for name, value := range object {
		others := []any{nil, "", "x", json.Number("0"), json.Number("-1"), json.Number("1.5"), json.Number("9223372036854775808"), true, []any{}, map[string]any{}}
		if inner, ok := value.(map[string]any); ok {
			for _, spoilt := range spoil(inner) {
				others = append(others, spoilt)
			}
		}
		for _, other := range others {
			spoilt := maps.Clone(object)
			spoilt[name] = other
			all = append(all, spoilt)
		}
		without := maps.Clone(object)
		delete(without, name)
		all = append(all, without)
	}
	return all
}

func goldens(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../event/testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(len(names), err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	object, ok := value.(map[string]any)
	if err != nil || !ok {
		t.Fatal(err, value)
	}
	return object
}
