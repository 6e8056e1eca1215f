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

func TestOpenAPIEventHasTheMembersOfTheEventSchema(t *testing.T) {
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

// The OpenAPI schema has today's shape only: it rejects what the event schema rejects, and
// the older shape.
func TestOpenAPIEventRejectsWhatTheEventSchemaRejects(t *testing.T) {
	t.Parallel()
	sent, answered := compile(t, string(read(t, eventSchema)), ""), compile(t, openapi.Todo, "/components/schemas/Event")
	rejected := 0
	for _, name := range goldens(t) {
		golden := decode(t, read(t, name))
		if err := answered.Validate(golden); (err != nil) != (filepath.Base(name) == "older.json") {
			t.Errorf("%s: %v", name, err)
		}
		for _, mutated := range mutate(golden) {
			if sent.Validate(mutated) == nil {
				continue
			}
			rejected++
			if answered.Validate(mutated) == nil {
				t.Errorf("%s: the event schema rejects %v, the document does not", name, mutated)
			}
		}
	}
	if rejected == 0 {
		t.Error("no mutation was rejected, so the test checks nothing")
	}
}

// mutate returns copies of the object in which one member, at any depth, is missing or has
// another value.
func mutate(object map[string]any) (all []map[string]any) {
	for name, value := range object {
		others := []any{nil, "", "x", json.Number("0"), json.Number("-1"), json.Number("1.5"), json.Number("9223372036854775808"), true, []any{}, map[string]any{}}
		if inner, ok := value.(map[string]any); ok {
			for _, mutated := range mutate(inner) {
				others = append(others, mutated)
			}
		}
		for _, other := range others {
			mutated := maps.Clone(object)
			mutated[name] = other
			all = append(all, mutated)
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
