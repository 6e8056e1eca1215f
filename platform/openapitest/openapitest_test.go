package openapitest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/todo/platform/openapitest"
)

const document = `
openapi: 3.1.1
paths:
  /things:
    get:
      responses:
        "200":
          headers:
            X-Left: { required: true, schema: { type: integer, minimum: 0 } }
            X-Name: { schema: { type: string, pattern: "^[a-z]+$" } }
          content:
            application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Thing" } } }
        "304": { description: the same }
  /things/{id}:
    delete:
      responses:
        "204": { description: gone }
        "404": { $ref: "#/components/responses/NotFound" }
  /things/latest:
    get:
      responses:
        "200": { content: { application/json: { schema: { $ref: "#/components/schemas/Thing" } } } }
  /feed:
    get:
      responses:
        "200": { content: { text/event-stream: { x-data: { $ref: "#/components/schemas/Thing" } } } }
components:
  responses:
    NotFound: { content: { application/problem+json: { schema: { $ref: "#/components/schemas/Problem" } } } }
  schemas:
    Thing:
      type: object
      required: [id]
      properties:
        id: { type: integer, maximum: 9223372036854775807 }
    Problem:
      type: object
      required: [status]
      properties:
        status: { type: integer }
`

func TestOperationsAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	parsed, err := openapitest.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"DELETE /things/{id}", "GET /feed", "GET /things", "GET /things/latest"}
	if got := parsed.Operations(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

const json, problem = "application/json", "application/problem+json"

// exchange is a request and its response.
type exchange struct {
	request string // method and path
	status  int
	header  []string // names and values
	body    string
}

func thingsResponse(body string, header ...string) exchange {
	return exchange{"GET /things", 200, append([]string{"X-Left", "7", "Content-Type", json}, header...), body}
}

func TestDocumentedResponsesPass(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]exchange{
		"a list":                      thingsResponse(`[{"id":1},{"id":9223372036854775807}]`),
		"a documented header":         thingsResponse(`[]`, "X-Name", "abc"),
		"a common header":             thingsResponse(`[]`, "Date", "today"),
		"a charset":                   {"GET /things", 200, []string{"X-Left", "0", "Content-Type", json + "; charset=utf-8"}, `[]`},
		"HEAD is as GET":              {"HEAD /things", 200, []string{"X-Left", "7", "Content-Type", json}, ``},
		"no body":                     {"GET /things", 304, nil, ``},
		"no body, templated path":     {"DELETE /things/a%2Fb", 204, nil, ``},
		"a documented problem":        {"DELETE /things/1", 404, []string{"Content-Type", problem}, `{"status":404}`},
		"an unknown path":             {"GET /nothing", 404, []string{"Content-Type", problem}, `{"status":404}`},
		"an empty path segment":       {"DELETE /things/", 404, []string{"Content-Type", problem}, `{"status":404}`},
		"an unknown method":           {"GET /things/1", 405, []string{"Content-Type", problem, "Allow", "DELETE"}, `{"status":405}`},
		"Allow names HEAD beside GET": {"DELETE /things", 405, []string{"Content-Type", problem, "Allow", "GET, HEAD"}, `{"status":405}`},
		"a path that fits a template": {"GET /things/latest", 200, []string{"Content-Type", json}, `{"id":1}`},
		"a method of that template":   {"DELETE /things/latest", 405, []string{"Content-Type", problem, "Allow", "GET, HEAD"}, `{"status":405}`},
		"too many requests anywhere":  {"GET /nothing", 429, []string{"Content-Type", problem}, `{"status":429}`},
		"a stream":                    {"GET /feed", 200, []string{"Content-Type", "text/event-stream"}, ":\nid: 7\ndata: {\"id\":1}\n\n"},
	} {
		if found := mismatchOf(t, test); found != "" {
			t.Errorf("%s: %s", name, found)
		}
	}
}

func TestUndocumentedResponsesFail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		got  exchange
		want string
	}{
		"another status":            {exchange{"GET /things", 500, []string{"Content-Type", problem}, `{"status":500}`}, "status 500"},
		"a missing header":          {exchange{"GET /things", 200, []string{"Content-Type", json}, `[]`}, "X-Left is missing"},
		"a missing header of HEAD":  {exchange{"HEAD /things", 200, []string{"Content-Type", json}, ``}, "X-Left is missing"},
		"a header twice":            {thingsResponse(`[]`, "X-Left", "7"), "X-Left is sent 2 times"},
		"a header out of range":     {exchange{"GET /things", 200, []string{"X-Left", "-1", "Content-Type", json}, `[]`}, "minimum"},
		"a header without a number": {exchange{"GET /things", 200, []string{"X-Left", "x", "Content-Type", json}, `[]`}, "X-Left"},
		"a header of another form":  {thingsResponse(`[]`, "X-Name", "A"), "pattern"},
		"an unknown header":         {thingsResponse(`[]`, "X-Other", "1"), "the header X-Other"},
		"another type":              {exchange{"GET /things", 200, []string{"X-Left", "7", "Content-Type", "text/plain"}, `[]`}, `Content-Type "text/plain"`},
		"no type":                   {exchange{"GET /things", 200, []string{"X-Left", "7"}, `[]`}, "Content-Type"},
		"no JSON":                   {thingsResponse(`[`), "unexpected EOF"},
		"another shape":             {thingsResponse(`{}`), "want array"},
		"a missing member":          {thingsResponse(`[{}]`), "missing property 'id'"},
		"an unknown member":         {thingsResponse(`[{"id":1,"x":2}]`), "'x' not allowed"},
		"one more than 64 bits":     {thingsResponse(`[{"id":9223372036854775808}]`), "maximum"},
		"a body where there is none": {
			exchange{"DELETE /things/1", 204, []string{"Content-Type", json}, `{}`}, "204 has a body",
		},
		"another shape of a problem": {exchange{"DELETE /things/1", 404, []string{"Content-Type", problem}, `{}`}, "'status'"},
		"200 for an unknown path":    {exchange{"GET /nothing", 200, []string{"Content-Type", json}, `{}`}, "status 200, where nothing is documented"},
		"404 in plain text":          {exchange{"GET /nothing", 404, []string{"Content-Type", "text/plain"}, `404`}, `Content-Type "text/plain"`},
		"another Allow":              {exchange{"GET /things/1", 405, []string{"Content-Type", problem, "Allow", "GET"}, `{"status":405}`}, `Allow is "GET"`},
		"a method of a template":     {exchange{"DELETE /things/latest", 204, nil, ``}, "status 204, where nothing is documented"},
		"a method that is served":    {exchange{"POST /things", 200, []string{"Content-Type", json}, `[]`}, "status 200"},
	}
	for name, test := range tests {
		if found := mismatchOf(t, test.got); !strings.Contains(found, test.want) {
			t.Errorf("%s: %q, want %q", name, found, test.want)
		}
	}
}

func TestUnknownPathMayNeedCredentialsWhereTheDocumentHasSome(t *testing.T) {
	t.Parallel()
	secured := document + "  securitySchemes: { token: { type: http, scheme: bearer } }\n"
	for text, want := range map[string]string{document: "status 401, where nothing is documented", secured: ""} {
		checked, err := openapitest.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		found := panicOf(func() {
			checked.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", problem)
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"status":401}`)
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/nothing", nil))
		})
		if (found == "") != (want == "") || !strings.Contains(found, want) {
			t.Errorf("%q, want %q", found, want)
		}
	}
}

// mismatchOf returns the mismatch that Handler reports for e. Transport must report the same.
func mismatchOf(t *testing.T, e exchange) string {
	t.Helper()
	checked, err := openapitest.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(e.header); i += 2 {
			w.Header().Add(e.header[i], e.header[i+1])
		}
		if e.status != http.StatusOK {
			w.WriteHeader(e.status)
		}
		_, _ = io.WriteString(w, e.body)
	})
	method, path, _ := strings.Cut(e.request, " ")
	request := httptest.NewRequest(method, path, nil)
	response, err := checked.Transport(handlerTransport{handler}).RoundTrip(request)
	if err == nil {
		response.Body.Close()
	}
	found := panicOf(func() { checked.Handler(handler).ServeHTTP(httptest.NewRecorder(), request) })
	if sent := errorText(err); sent != found {
		t.Errorf("%s: Handler says %q, Transport %q", e.request, found, sent)
	}
	return found
}

func TestEventsOfAStreamAreValidatedAgainstTheirSchema(t *testing.T) {
	t.Parallel()
	checked, err := openapitest.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]string{"data: {\"id\":1}\n\ndata: {\"id\":\"x\"}\n\n": "want integer", "data: later\n\n": "invalid"} {
		found := panicOf(func() {
			checked.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, stream)
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/feed", nil))
		})
		if !strings.Contains(found, want) {
			t.Errorf("%q: %q, want %q", stream, found, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func panicOf(f func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = v.(string)
		}
	}()
	f()
	return ""
}

// handlerTransport sends requests to a handler without a network.
type handlerTransport struct{ handler http.Handler }

func (d handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

func TestParseRejectsDocumentsThatCannotValidateResponses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a: [", "openapi: 3.0.3", "openapi: 3.1.1", strings.Replace(document, "  schemas:", "  others:", 1)} {
		if _, err := openapitest.Parse(text); err == nil {
			t.Errorf("accepted: %.30q", text)
		}
	}
}

func TestInvalidSchemaIsReportedForEachResponse(t *testing.T) {
	t.Parallel()
	checked, err := openapitest.Parse(strings.Replace(document, "type: integer, minimum: 0", "type: whole", 1))
	if err != nil {
		t.Fatal(err)
	}
	handler := checked.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", json)
		w.Header().Set("X-Left", "7")
		_, _ = io.WriteString(w, "[]")
	}))
	for range 2 {
		found := panicOf(func() { handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things", nil)) })
		if !strings.Contains(found, "not valid against metaschema") {
			t.Errorf("%q", found)
		}
	}
}

func TestTransportDoesNotWaitForTheEndOfAStream(t *testing.T) {
	t.Parallel()
	checked, err := openapitest.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(checked.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})))
	defer server.Close()
	client := http.Client{Transport: checked.Transport(http.DefaultTransport)}
	response, err := client.Get(server.URL + "/feed")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}
