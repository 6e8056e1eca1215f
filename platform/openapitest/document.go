// Package openapitest holds what a handler answers in tests against the OpenAPI
// 3.1 document that describes it. It is stricter than the document, which lets
// answers grow: what the document does not name must not be answered.
package openapitest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// Document describes an API. Its components hold a schema Problem, which is what
// the API answers with where the document has nothing to say.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by their place
}

const name = "openapi.yaml"

// Parse reads a document.
func Parse(text string) (*Document, error) {
	d := &Document{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if err := yaml.Unmarshal([]byte(text), &d.root); err != nil {
		return nil, err
	}
	if version, _ := d.root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, errors.New("not an OpenAPI 3.1 document")
	}
	closeObjects(d.root)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(name, d.root); err != nil {
		return nil, err
	}
	_, err := d.schema("#/components/schemas/Problem")
	return d, err
}

// closeObjects makes each object's schema refuse the members it does not name.
func closeObjects(node any) {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			closeObjects(item)
		}
	case map[string]any:
		_, open := node["properties"]
		if _, decided := node["additionalProperties"]; open && !decided && node["type"] == "object" {
			node["additionalProperties"] = false
		}
		for _, member := range node {
			closeObjects(member)
		}
	}
}

// place is a node of the document, and where it is.
type place struct {
	pointer string
	node    map[string]any
}

// at returns the member of p with that name, references followed. It is false
// when there is none.
func (d *Document) at(p place, member string) (place, bool) {
	node, ok := p.node[member].(map[string]any)
	if !ok {
		return place{}, false
	}
	found := place{p.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(member), node}
	target, ok := node["$ref"].(string)
	if !ok {
		return found, true
	}
	found = place{"#", d.root}
	for _, part := range strings.Split(strings.TrimPrefix(target, "#/"), "/") {
		if found, ok = d.at(found, part); !ok {
			return place{}, false
		}
	}
	return found, true
}

func (d *Document) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.schemas[pointer]; ok {
		return known, nil
	}
	schema, err := d.compiler.Compile(name + pointer)
	if err != nil {
		return nil, err
	}
	d.schemas[pointer] = schema
	return schema, nil
}

// path returns what is documented for an address. A template stands for one
// part of the path that is not empty.
func (d *Document) path(address string) (place, bool) {
	paths, _ := d.at(place{"#", d.root}, "paths")
	if exact, ok := d.at(paths, address); ok {
		return exact, true
	}
	parts := strings.Split(address, "/")
	for template := range paths.node {
		fits := func(pattern, part string) bool {
			return pattern == part || part != "" && strings.HasPrefix(pattern, "{")
		}
		if slices.EqualFunc(strings.Split(template, "/"), parts, fits) {
			return d.at(paths, template)
		}
	}
	return place{}, false
}

// allowed is what Allow says of a path.
func allowed(path place) string {
	var methods []string
	for _, method := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		operation := strings.ToLower(method)
		if method == "HEAD" {
			operation = "get"
		}
		if _, ok := path.node[operation]; ok {
			methods = append(methods, method)
		}
	}
	return strings.Join(methods, ", ")
}

func undocumented(format string, args ...any) error {
	return fmt.Errorf("not as documented: "+format, args...)
}
