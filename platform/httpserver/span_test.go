package httpserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestSpanFollowsTheSemanticConventions(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		method, path, name string
		status             int
		route              any // nil: no attribute
	}{
		"a route":                      {http.MethodGet, "/things/1", "GET /things/{id}", 200, "/things/{id}"},
		"a route asked for its header": {http.MethodHead, "/things/1", "HEAD /things/{id}", 200, "/things/{id}"},
		"a pattern without a method":   {http.MethodPut, "/any", "PUT /any", 200, "/any"},
		"no route":                     {http.MethodGet, "/nothing", "GET", 404, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, spans := newTelemetryRecorder(), tracetest.NewSpanRecorder()
			o.tp = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			r := httptest.NewRequest(c.method, c.path, http.NoBody)
			mux := muxWith("GET /things/{id}", func(http.ResponseWriter, *http.Request) {})
			mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) {})
			serveRequest(o, mux, r)

			want := map[string]any{
				"http.request.method": c.method, "http.response.status_code": int64(c.status), "url.path": c.path, "url.scheme": "http",
			}
			if c.route != nil {
				want["http.route"] = c.route
			}
			span := spans.Ended()[0]
			got := map[string]any{}
			for _, a := range span.Attributes() {
				got[string(a.Key)] = a.Value.AsInterface()
			}
			if diff := cmp.Diff(want, got); diff != "" || span.Name() != c.name {
				t.Errorf("span %q, attributes (-want +got):\n%s", span.Name(), diff)
			}
		})
	}
}

func TestTokenInThePathIsNeitherLoggedNorTraced(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("T0ken", 9)
	o, spans := newTelemetryRecorder(), tracetest.NewSpanRecorder()
	o.tp = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	serveRequest(o, http.NewServeMux(), httptest.NewRequest(http.MethodGet, "/sessions/"+token+"/x", http.NoBody))
	if lines := o.lines(t, "HTTP request"); len(lines) != 1 || lines[0]["path"] != "/sessions/[45 bytes]/x" {
		t.Errorf("logged %v", lines)
	}
	span := spans.Ended()[0]
	if got := fmt.Sprint(span.Name(), span.Attributes()); strings.Contains(got, token) || !strings.Contains(got, "[45 bytes]") {
		t.Errorf("traced %s", got)
	}
}
