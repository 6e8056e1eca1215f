package httpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/logging"
)

// hosts are the hosts of the test requests, including that of httptest.
var hosts = []string{"example.com", "todo.example"}

// serveRequest serves r with mux behind Instrument.
func serveRequest(o *telemetryRecorder, mux *http.ServeMux, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	httpserver.Instrument(httpserver.Routes(mux), httpserver.Config{RequestTimeout: time.Minute, AllowedHosts: hosts}, o.telemetry()).ServeHTTP(rec, r)
	return rec
}

func muxWith(pattern string, h http.HandlerFunc) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc(pattern, h)
	return mux
}

func TestInstrumentLogsAndCountsEachRequestByItsRoute(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	mux := muxWith("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "12345")
	})
	h := httpserver.Instrument(httpserver.Routes(mux), httpserver.Config{AllowedHosts: hosts}, o.telemetry())
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/things/1", nil),
		httptest.NewRequest(http.MethodGet, "/things/2", nil),
		httptest.NewRequest(http.MethodGet, "/elsewhere", nil),
		httptest.NewRequest("BREW", "/elsewhere", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := `code=202 method=GET route=GET /things/{id} 2
code=404 method=GET route=unmatched 1
code=404 method=other route=unmatched 1
`
	if diff := cmp.Diff(want, o.metrics(t, "http_requests_total")); diff != "" {
		t.Error(diff)
	}
	want = `method=GET route=GET /things/{id} count
method=GET route=unmatched count
method=other route=unmatched count
`
	if diff := cmp.Diff(want, o.metrics(t, "http_request_duration_seconds")); diff != "" {
		t.Error(diff)
	}
	line := o.lines(t, "HTTP request")[0]
	for key, want := range map[string]any{
		"level": "INFO", "method": "GET", "path": "/things/1", "route": "GET /things/{id}", "status": 202.0, "bytes": 5.0,
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if line["request_id"] == nil || line["duration_us"] == nil {
		t.Errorf("request id or duration missing in %v", line)
	}
}

func TestInstrumentRecordsTheRouteThroughMiddlewareAndWithoutRoutes(t *testing.T) {
	t.Parallel()
	mux := muxWith("GET /x", func(http.ResponseWriter, *http.Request) {})
	copying := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.Routes(mux).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), t, "")))
	})
	for name, h := range map[string]http.Handler{"behind middleware": copying, "plain mux": mux} {
		o := newTelemetryRecorder()
		httpserver.Instrument(h, httpserver.Config{AllowedHosts: hosts}, o.telemetry()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
		if got := o.metrics(t, "http_requests_total"); !strings.Contains(got, "route=GET /x ") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestRequestIDIsAcceptedWhenSafeAndEchoed(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{"abc-123": true, "": false, "a b": false, strings.Repeat("x", 65): false}
	for sent, kept := range tests {
		var inside string
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if sent != "" {
			r.Header.Set("X-Request-Id", sent)
		}
		rec := serveRequest(newTelemetryRecorder(), muxWith("/", func(_ http.ResponseWriter, r *http.Request) { inside = logging.RequestID(r.Context()) }), r)
		echoed := rec.Header().Get("X-Request-Id")
		if echoed == "" || echoed != inside || (echoed == sent) != kept {
			t.Errorf("sent %q, echoed %q, inside %q", sent, echoed, inside)
		}
	}
}

func TestRequestDeadlineIsAnswered503(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	h := httpserver.Instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		httpserver.WriteProblem(w, r, fmt.Errorf("query: %w", r.Context().Err()))
	}), httpserver.Config{RequestTimeout: time.Millisecond, AllowedHosts: hosts}, o.telemetry())
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d with %v", rec.Code, rec.Header())
	}
	if line := o.lines(t, "HTTP request")[0]; line["level"] != "WARN" || line["error"] == nil {
		t.Errorf("logged %v", line)
	}
}

func TestRequestIsCountedAs499WhenItsClientDisconnected(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	serveRequest(o, muxWith("/", func(w http.ResponseWriter, r *http.Request) {
		cancel()
		httpserver.WriteProblem(w, r, r.Context().Err())
	}), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	if got := o.metrics(t, "http_requests_total"); !strings.Contains(got, "code=499") {
		t.Error(got)
	}
}

func TestProblemSaysThatTheRequestWasAbortedWhenTheClientHalfClosed(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	srv, _, _ := start(t, cfg, httpserver.Instrument(muxWith("/", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		httpserver.WriteProblem(w, r, apperr.New(apperr.Unavailable, "the database is away").WithCause(r.Context().Err()))
	}), cfg, newTelemetryRecorder().telemetry()))
	conn, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(resp), "HTTP/1.1 503 ") || !strings.Contains(string(resp), "client closed its side") {
		t.Errorf("got %s, %v", resp, err)
	}
}

func TestPanicIsAnswered500WithoutInternals(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	rec := serveRequest(o, muxWith("/", func(http.ResponseWriter, *http.Request) { panic("secret internals") }), httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	var problem map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil || problem["request_id"] != rec.Header().Get("X-Request-Id") {
		t.Errorf("got %s, %v", rec.Body, err)
	}
	panics := o.lines(t, "panic in an HTTP handler")
	if len(panics) != 1 || panics[0]["panic"] != "secret internals" || !strings.Contains(panics[0]["stack"].(string), "middleware_test.go") {
		t.Errorf("logged %v", panics)
	}
	if got := o.metrics(t, "http_requests_total"); !strings.Contains(got, "code=500") {
		t.Error(got)
	}
}

func TestAbortHandlerPassesThroughAndIsLogged(t *testing.T) {
	t.Parallel()
	tests := map[string]http.HandlerFunc{
		"ErrAbortHandler": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a panic after the response started": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half a resp")
			panic("oops")
		},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newTelemetryRecorder()
			defer func() {
				if v := recover(); v != any(http.ErrAbortHandler) {
					t.Errorf("recovered %v", v)
				}
				if lines := o.lines(t, "HTTP request"); len(lines) != 1 {
					t.Errorf("logged %v", lines)
				}
			}()
			serveRequest(o, muxWith("/", h), httptest.NewRequest(http.MethodGet, "/", nil))
			t.Error("the panic was not passed on")
		})
	}
}

func TestCauseOfAProblemIsLoggedAndNeverSent(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	rec := serveRequest(o, muxWith("/", func(w http.ResponseWriter, r *http.Request) {
		httpserver.WriteProblem(w, r, apperr.New(apperr.Unavailable, "try later").WithCause(errors.New("dial 10.0.0.7:5432")))
	}), httptest.NewRequest(http.MethodGet, "/", nil))
	if strings.Contains(rec.Body.String(), "10.0.0.7") {
		t.Errorf("sent: %s", rec.Body)
	}
	if line := o.lines(t, "HTTP request")[0]; line["error"] != "try later: dial 10.0.0.7:5432" {
		t.Errorf("logged %v", line)
	}
}

func TestFlushAndDeadlinesReachTheConnectionThroughInstrument(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	cfg := httpserver.Config{RequestTimeout: 10 * time.Second}
	release := make(chan struct{})
	srv := httptest.NewServer(httpserver.Instrument(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "first\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-release
		io.WriteString(w, "second\n")
	}), cfg, o.telemetry()))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first\n" {
		t.Fatalf("got %q, %v", buf, err)
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second\n" {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestSpanContinuesTheTraceOfTheClient(t *testing.T) {
	t.Parallel()
	o, spans := newTelemetryRecorder(), tracetest.NewSpanRecorder()
	o.tp = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	r := httptest.NewRequest(http.MethodGet, "/things/1", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	serveRequest(o, muxWith("GET /things/{id}", func(http.ResponseWriter, *http.Request) {}), r)
	ended := spans.Ended()
	if len(ended) != 1 || ended[0].Name() != "GET /things/{id}" || ended[0].Parent().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("spans: %v", ended)
	}
	if line := o.lines(t, "HTTP request")[0]; line["trace_id"] != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("logged %v", line)
	}
}
