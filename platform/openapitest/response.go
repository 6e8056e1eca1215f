package openapitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

type response struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte // nil: not recorded, and not checked
}

func (r response) String() string {
	return fmt.Sprintf("%s %s, %d", r.request.Method, r.request.URL.EscapedPath(), r.status)
}

const problemType = "application/problem+json"

// commonHeaders are sent by every HTTP server. The document does not list them.
var commonHeaders = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Allow", "Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding", "Vary", "X-Content-Type-Options",
}

func (d *Document) checkResponse(r response) error {
	handler, _ := d.mux.Handler(r.request)
	if operations, ok := handler.(*http.ServeMux); ok {
		handler, _ = operations.Handler(r.request)
	}
	requested, ok := handler.(operation)
	if !ok {
		unmatched := httptest.NewRecorder()
		handler.ServeHTTP(unmatched, r.request)
		return d.checkUndocumented(r, unmatched.Header().Get("Allow"))
	}
	if r.request.Method == http.MethodHead {
		r.body = nil
	}
	responses, _ := d.member(requested.docNode, "responses")
	documented, ok := d.member(responses, strconv.Itoa(r.status))
	if !ok {
		return mismatch("status %d", r.status)
	}
	if err := d.checkHeader(r.header, documented); err != nil {
		return err
	}
	return d.checkBody(r, documented)
}

// checkUndocumented checks the response to a path or method that the document does not
// have: a Problem with the status 404, or 405 with allow if the path has other methods,
// or with a status that any request may get.
func (d *Document) checkUndocumented(r response, allow string) error {
	statuses := []int{
		http.StatusNotFound, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if allow != "" {
		statuses[0] = http.StatusMethodNotAllowed
	}
	if d.hasSignIn() {
		statuses = append(statuses, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden)
	}
	contentType := r.header.Get("Content-Type")
	switch {
	case !slices.Contains(statuses, r.status):
		return mismatch("status %d, where nothing is documented", r.status)
	case r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") != allow:
		return mismatch("Allow is %q, the document has %q", r.header.Get("Allow"), allow)
	case contentType != problemType:
		return mismatch("Content-Type %q, want %s", contentType, problemType)
	case r.request.Method == http.MethodHead:
		return nil
	}
	return d.checkJSON(r.body, "#/components/schemas/Problem")
}

// hasSignIn reports whether requests need credentials. Then also an unknown path may get
// 400 for a token in its URL, 401, or 403 for a page of another origin.
func (d *Document) hasSignIn() bool {
	components, _ := d.member(d.root, "components")
	_, found := d.member(components, "securitySchemes")
	return found
}

func (d *Document) checkHeader(header http.Header, of docNode) error {
	documented, _ := d.member(of, "headers")
	known := slices.Clone(commonHeaders)
	for field := range documented.node {
		known = append(known, http.CanonicalHeaderKey(field))
		entry, _ := d.member(documented, field)
		values := header.Values(field)
		switch {
		case len(values) == 0 && entry.node["required"] == true:
			return mismatch("the header %s is missing", field)
		case len(values) > 1:
			return mismatch("the header %s is sent %d times", field, len(values))
		case len(values) == 1:
			if err := d.checkField(values[0], entry); err != nil {
				return mismatch("the header %s: %w", field, err)
			}
		}
	}
	for field := range header {
		if !slices.Contains(known, field) {
			return mismatch("the header %s", field)
		}
	}
	return nil
}

func (d *Document) checkField(value string, entry docNode) error {
	found, _ := d.member(entry, "schema")
	schema, err := d.schema(found.pointer)
	if err != nil {
		return err
	}
	if found.node["type"] == "integer" {
		return schema.Validate(json.Number(value))
	}
	return schema.Validate(value)
}

func (d *Document) checkBody(r response, documented docNode) error {
	content, _ := d.member(documented, "content")
	given := r.header.Get("Content-Type")
	if len(content.node) == 0 {
		if len(r.body) > 0 || given != "" {
			return mismatch("%d has a body, of type %q", r.status, given)
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(given)
	entry, ok := d.member(content, mediaType)
	if err != nil || !ok {
		return mismatch("Content-Type %q", given)
	}
	switch {
	case mediaType == "text/event-stream":
		return d.checkStream(r.body, entry)
	case strings.HasSuffix(mediaType, "json") && r.body != nil:
		schema, _ := d.member(entry, "schema")
		return d.checkJSON(r.body, schema.pointer)
	}
	return nil
}

// checkStream validates the data of each server-sent event against the schema x-data,
// an extension of ours: OpenAPI 3.1 cannot describe the events of a stream.
func (d *Document) checkStream(body []byte, entry docNode) error {
	schema, ok := d.member(entry, "x-data")
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
		return mismatch("%w\nin the body %s", err, body)
	}
	return nil
}

// Handler returns middleware that records each response of next and panics when it is
// not as documented.
func (d *Document) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &bodyRecorder{ResponseWriter: w, body: []byte{}}
		next.ServeHTTP(rec, r)
		sent := response{r, cmp.Or(rec.status, http.StatusOK), w.Header(), rec.body}
		if err := d.checkResponse(sent); err != nil {
			panic(fmt.Sprintf("%v: %v", sent, err))
		}
	})
}

type bodyRecorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *bodyRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *bodyRecorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *bodyRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Transport returns a RoundTripper that sends requests with next and fails when the
// response is not as documented. The body of an event stream is not checked.
func (d *Document) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{d, next}
}

type transport struct {
	document *Document
	next     http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	received := response{request: r, status: resp.StatusCode, header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		received.body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(received.body))
	}
	if err == nil {
		err = t.document.checkResponse(received)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%v: %w", received, err)
	}
	return resp, nil
}
