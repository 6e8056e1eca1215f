// Package openapitest implements contract tests of HTTP responses against an OpenAPI
// 3.1 document. It is stricter than the document, which lets objects grow: a member,
// header or status that the document does not name fails the test.
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

// Document is a parsed OpenAPI document. Its schema Problem describes the responses to
// paths and methods that the document does not have. Its methods may be called
// concurrently.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by JSON pointer
}

const resourceName = "openapi.yaml"

// Parse parses the YAML text of a document. It is an error when the text is not OpenAPI
// 3.1, or has no valid schema Problem.
func Parse(text string) (*Document, error) {
	d := &Document{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if err := yaml.Unmarshal([]byte(text), &d.root); err != nil {
		return nil, err
	}
	if version, _ := d.root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, errors.New("not an OpenAPI 3.1 document")
	}
	forbidUnknownMembers(d.root)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resourceName, d.root); err != nil {
		return nil, err
	}
	_, err := d.schema("#/components/schemas/Problem")
	return d, err
}

// forbidUnknownMembers sets additionalProperties: false in each schema of an object
// that does not set it itself.
func forbidUnknownMembers(node any) {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			forbidUnknownMembers(item)
		}
	case map[string]any:
		_, hasProperties := node["properties"]
		if _, isSet := node["additionalProperties"]; hasProperties && !isSet && node["type"] == "object" {
			node["additionalProperties"] = false
		}
		for _, member := range node {
			forbidUnknownMembers(member)
		}
	}
}

// docNode is a node of the document and its JSON pointer.
type docNode struct {
	pointer string
	node    map[string]any
}

// member returns the object that n has under name, with $ref resolved. It returns false
// when there is none.
func (d *Document) member(n docNode, name string) (docNode, bool) {
	node, ok := n.node[name].(map[string]any)
	if !ok {
		return docNode{}, false
	}
	found := docNode{n.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), node}
	target, ok := node["$ref"].(string)
	if !ok {
		return found, true
	}
	found = docNode{"#", d.root}
	for _, part := range strings.Split(strings.TrimPrefix(target, "#/"), "/") {
		if found, ok = d.member(found, part); !ok {
			return docNode{}, false
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
	schema, err := d.compiler.Compile(resourceName + pointer)
	if err != nil {
		return nil, err
	}
	d.schemas[pointer] = schema
	return schema, nil
}

// findPath returns the path item for path: an exact match, else a template, in which
// each parameter matches one segment that is not empty.
func (d *Document) findPath(path string) (docNode, bool) {
	paths, _ := d.member(docNode{"#", d.root}, "paths")
	if exact, ok := d.member(paths, path); ok {
		return exact, true
	}
	segments := strings.Split(path, "/")
	for template := range paths.node {
		matches := func(pattern, segment string) bool {
			return pattern == segment || segment != "" && strings.HasPrefix(pattern, "{")
		}
		if slices.EqualFunc(strings.Split(template, "/"), segments, matches) {
			return d.member(paths, template)
		}
	}
	return docNode{}, false
}

func allowedMethods(path docNode) string {
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

func mismatch(format string, args ...any) error {
	return fmt.Errorf("not as documented: "+format, args...)
}
