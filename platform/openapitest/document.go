// Package openapitest implements contract tests of HTTP responses against an OpenAPI
// 3.1 document. It is stricter than the document, which lets objects grow: a member,
// header or status that the document does not name fails the test.
package openapitest

import (
	"errors"
	"fmt"
	"net/http"
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
	root       docNode
	mux        *http.ServeMux // of path items; each is a mux of its operations
	operations []string

	mu       sync.Mutex
	compiler *jsonschema.Compiler
}

// operation is an operation of a document, as a handler that does nothing.
type operation struct{ docNode }

func (operation) ServeHTTP(http.ResponseWriter, *http.Request) {}

const resourceName = "openapi.yaml"

// Parse parses the YAML text of a document. It is an error when the text is not OpenAPI
// 3.1, or has no valid schema Problem.
func Parse(text string) (*Document, error) {
	var root map[string]any
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	if version, _ := root["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, errors.New("not an OpenAPI 3.1 document")
	}
	forbidUnknownMembers(root)
	d := &Document{root: docNode{"#", root}, mux: http.NewServeMux(), compiler: jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resourceName, root); err != nil {
		return nil, err
	}
	paths, _ := d.member(d.root, "paths")
	for path := range paths.node {
		item, _ := d.member(paths, path)
		// In one mux, a method that only /tasks/{id} has would match /tasks/counts, too.
		operations := http.NewServeMux()
		d.mux.Handle(path, operations)
		for _, method := range []string{"delete", "get", "options", "patch", "post", "put"} {
			if found, ok := d.member(item, method); ok {
				name := strings.ToUpper(method) + " " + path
				operations.Handle(name, operation{found}) // GET is HEAD too
				d.operations = append(d.operations, name)
			}
		}
	}
	_, err := d.schema("#/components/schemas/Problem")
	return d, err
}

// Operations returns all operations in order, such as "GET /tasks/{id}".
func (d *Document) Operations() []string { return slices.Sorted(slices.Values(d.operations)) }

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
	found = d.root
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
	return d.compiler.Compile(resourceName + pointer) // it keeps what it has compiled
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("not as documented: "+format, args...)
}
