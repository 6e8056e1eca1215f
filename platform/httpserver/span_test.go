package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestSpanFollowsTheSemanticConventions(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		method, path, host, name string
		want                     map[string]any // the attributes that differ
	}{
		"a route": {
			http.MethodGet, "/things/1", "todo.example:8080", "GET /things/{id}",
			map[string]any{"http.route": "/things/{id}", "server.address": "todo.example", "server.port": int64(8080)},
		},
		"a route asked for its header": {
			http.MethodHead, "/things/1", "todo.example", "HEAD /things/{id}",
			map[string]any{"http.route": "/things/{id}", "server.address": "todo.example"},
		},
		"a pattern without a method": {
			http.MethodPut, "/any", "[::1]:8080", "PUT /any",
			map[string]any{"http.route": "/any", "server.address": "::1", "server.port": int64(8080)},
		},
		"no route": {
			http.MethodGet, "/nothing", "[::1]", "GET",
			map[string]any{"server.address": "::1", "http.response.status_code": int64(404)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, spans := newTelemetryRecorder(), tracetest.NewSpanRecorder()
			o.tp = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			r := httptest.NewRequest(c.method, c.path, http.NoBody)
			r.Host, r.RemoteAddr = c.host, "192.0.2.1:1234"
			r.Header.Set("User-Agent", "a browser")
			mux := muxWith("GET /things/{id}", func(http.ResponseWriter, *http.Request) {})
			mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) {})
			serveRequest(o, mux, r)

			want := map[string]any{
				"http.request.method": c.method, "http.response.status_code": int64(200), "url.path": c.path, "url.scheme": "http",
				"network.peer.address": "192.0.2.1", "network.peer.port": int64(1234), "network.protocol.version": "1.1",
				"user_agent.original": "a browser",
			}
			for attribute, value := range c.want {
				want[attribute] = value
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
