package openapi_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func TestEveryExampleIsValid(t *testing.T) {
	t.Parallel()
	for name, text := range documents {
		examples := examplesIn(parse(t, text), "")
		if len(examples) == 0 {
			t.Errorf("%s has no examples, so the test checks nothing", name)
		}
		for pointer, example := range examples {
			schema := pointer[:strings.LastIndex(pointer, "/example")] + "/schema"
			if err := compile(t, text, schema).Validate(example); err != nil {
				t.Errorf("%s#%s: %v", name, pointer, err)
			}
		}
	}
}

// examplesIn returns by JSON pointer every example beside a schema.
func examplesIn(node any, pointer string) map[string]any {
	examples := map[string]any{}
	switch node := node.(type) {
	case []any:
		for i, item := range node {
			maps.Copy(examples, examplesIn(item, fmt.Sprintf("%s/%d", pointer, i)))
		}
	case map[string]any:
		if _, ok := node["schema"]; ok {
			if example, ok := node["example"]; ok {
				examples[pointer+"/example"] = example
			}
			named, _ := node["examples"].(map[string]any)
			for name, example := range named {
				examples[pointer+"/examples/"+name] = example.(map[string]any)["value"]
			}
		}
		for name, member := range node {
			escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			maps.Copy(examples, examplesIn(member, pointer+"/"+escaped))
		}
	}
	return examples
}

func parse(t *testing.T, text string) (document any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// compile returns the schema at a JSON pointer of the document's text. kin-openapi reads
// the bounds of 64-bit integers inexactly.
func compile(t *testing.T, text, pointer string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("document.yaml", parse(t, text)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("document.yaml#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
