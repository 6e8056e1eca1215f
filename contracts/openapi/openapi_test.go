package openapi_test

import (
	"encoding/json"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"example.com/todo/contracts/openapi"
)

var documents = map[string]string{"todo": openapi.Todo, "stats": openapi.Stats}

func load(t *testing.T, text string) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestDocumentsAreOpenAPI31(t *testing.T) {
	t.Parallel()
	for name, text := range documents {
		document := load(t, text)
		if err := document.Validate(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !document.IsOpenAPI31OrLater() {
			t.Errorf("%s is of %s", name, document.OpenAPI)
		}
	}
}

func TestAllAPIsHaveTheSameProblemSchema(t *testing.T) {
	t.Parallel()
	problems := map[string]string{}
	for name, text := range documents {
		problem, err := json.Marshal(load(t, text).Components.Schemas["Problem"])
		if err != nil {
			t.Fatal(err)
		}
		problems[name] = string(problem)
	}
	if diff := cmp.Diff(problems["todo"], problems["stats"]); diff != "" {
		t.Errorf("Problem (-todo +stats):\n%s", diff)
	}
}
