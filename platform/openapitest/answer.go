package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// answer is what came of a request.
type answer struct {
	method, path string
	status       int
	header       http.Header
	body         []byte // nil when it is not known
}

const problemType = "application/problem+json"

// Fields of every HTTP server, which a document does not list.
var general = []string{
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Allow", "Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding", "Vary", "X-Content-Type-Options",
}

// check says what is wrong with an answer, if anything.
func (d *Document) check(a answer) error {
	path, ok := d.path(a.path)
	if !ok {
		return d.checkRefusal(a, http.StatusNotFound)
	}
	method := strings.ToLower(a.method)
	if a.method == http.MethodHead {
		method, a.body = "get", nil
	}
	operation, ok := d.at(path, method)
	if !ok {
		if allow := a.header.Get("Allow"); a.status == http.StatusMethodNotAllowed && allow != allowed(path) {
			return undocumented("Allow is %q, the document has %q", allow, allowed(path))
		}
		return d.checkRefusal(a, http.StatusMethodNotAllowed)
	}
	responses, _ := d.at(operation, "responses")
	response, ok := d.at(responses, strconv.Itoa(a.status))
	if !ok {
		return undocumented("status %d", a.status)
	}
	if err := d.checkHeader(a.header, response); err != nil {
		return err
	}
	return d.checkBody(a, response)
}

// checkRefusal is for requests of which the document knows nothing.
func (d *Document) checkRefusal(a answer, status int) error {
	if !slices.Contains([]int{status, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}, a.status) {
		return undocumented("status %d, where nothing is documented", a.status)
	}
	if got := a.header.Get("Content-Type"); got != problemType {
		return undocumented("Content-Type %q, want %s", got, problemType)
	}
	if a.method == http.MethodHead {
		return nil
	}
	return d.checkJSON(a.body, "#/components/schemas/Problem")
}

func (d *Document) checkHeader(header http.Header, response place) error {
	documented, _ := d.at(response, "headers")
	for _, field := range sortedKeys(documented.node) {
		entry, _ := d.at(documented, field)
		values := header.Values(field)
		switch {
		case len(values) == 0 && entry.node["required"] == true:
			return undocumented("the field %s is missing", field)
		case len(values) > 1:
			return undocumented("the field %s comes %d times", field, len(values))
		case len(values) == 1:
			if err := d.checkField(values[0], entry); err != nil {
				return undocumented("the field %s: %w", field, err)
			}
		}
	}
	for _, field := range sortedKeys(header) {
		isIt := func(other string) bool { return http.CanonicalHeaderKey(other) == field }
		if !slices.ContainsFunc(general, isIt) && !slices.ContainsFunc(sortedKeys(documented.node), isIt) {
			return undocumented("the field %s", field)
		}
	}
	return nil
}

func (d *Document) checkField(value string, entry place) error {
	found, _ := d.at(entry, "schema")
	schema, err := d.schema(found.pointer)
	if err != nil {
		return err
	}
	if found.node["type"] == "integer" {
		return schema.Validate(json.Number(value))
	}
	return schema.Validate(value)
}

func (d *Document) checkBody(a answer, response place) error {
	content, _ := d.at(response, "content")
	given := a.header.Get("Content-Type")
	if len(content.node) == 0 {
		if len(a.body) > 0 || given != "" {
			return undocumented("%d has a body, of type %q", a.status, given)
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(given)
	entry, ok := d.at(content, mediaType)
	if err != nil || !ok {
		return undocumented("Content-Type %q", given)
	}
	switch {
	case mediaType == "text/event-stream":
		return d.checkStream(a.body, entry)
	case strings.HasSuffix(mediaType, "json") && a.body != nil:
		schema, _ := d.at(entry, "schema")
		return d.checkJSON(a.body, schema.pointer)
	}
	return nil
}

// checkStream holds the data of server-sent events against x-data, which
// documents their schema: OpenAPI 3.1 has no word for it.
func (d *Document) checkStream(body []byte, entry place) error {
	schema, ok := d.at(entry, "x-data")
	for line := range bytes.Lines(body) {
		data, found := bytes.CutPrefix(line, []byte("data:"))
		if !ok || !found {
			continue
		}
		if err := d.checkJSON(data, schema.pointer); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) checkJSON(body []byte, pointer string) error {
	schema, err := d.schema(pointer)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return undocumented("%w\nin the body %s", err, body)
	}
	return nil
}

func (a answer) String() string { return fmt.Sprintf("%s %s, %d", a.method, a.path, a.status) }
