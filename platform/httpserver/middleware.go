package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"

	"example.com/todo/platform/logging"
)

const requestIDHeader = "X-Request-Id"

// statusClientClosedRequest is what the log and the metrics say of a request whose
// client left before it was answered.
const statusClientClosedRequest = 499

// Telemetry is where a server tells what it does.
type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

// Instrument wraps h, under the policy of Guard: each request gets an id (the client's
// X-Request-Id when that is a safe token), a span, and cfg.RequestTimeout as deadline (unless a
// Stream answers it); each is logged and counted when it is over, in
// http_requests_total{route,method,code} and
// http_request_duration_seconds{route,method}; a panic is logged and answered 500.
func Instrument(h http.Handler, cfg Config, t Telemetry) http.Handler {
	factory := promauto.With(t.Registry)
	return &instrumentedHandler{
		next:    RestrictHostsAndOrigins(h, cfg),
		timeout: cfg.RequestTimeout,
		log:     t.Log,
		tracer:  t.Tracer.Tracer("example.com/todo/platform/httpserver"),
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "HTTP requests by route, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time from the request's header to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
	}
}

type instrumentedHandler struct {
	next     http.Handler
	timeout  time.Duration
	log      *slog.Logger
	tracer   trace.Tracer
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// requestState is what the inside of a request tells Instrument about it.
type requestState struct {
	start  time.Time
	client context.Context // ends when the client leaves, and has no deadline
	route  string          // the pattern that matched
	err    error           // what WriteProblem answered, or what ended a Stream
}

// onClientGone calls f once the client has left or was answered.
func (e *requestState) onClientGone(f func()) { context.AfterFunc(e.client, f) }

type requestStateKey struct{}

func requestStateOf(ctx context.Context) *requestState {
	if e, ok := ctx.Value(requestStateKey{}).(*requestState); ok {
		return e
	}
	return &requestState{client: ctx}
}

func (in *instrumentedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := r.Context()
	seen := &requestState{start: time.Now(), client: client}
	id := logging.AcceptRequestID(r.Header.Get(requestIDHeader))
	w.Header()[requestIDHeader] = []string{id}
	traced, span := startSpan(client, in.tracer, r.Header)
	ctx := context.WithValue(logging.WithRequestID(traced, id), requestStateKey{}, seen)
	if in.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, in.timeout)
		defer cancel()
		ctx = limited
	}
	r = r.WithContext(ctx)
	rec := &responseRecorder{ResponseWriter: w}
	defer func() { in.logAndCount(r, rec, seen, span, errors.Is(client.Err(), context.Canceled)) }()
	defer in.recoverPanic(rec, r)
	in.next.ServeHTTP(rec, r)
	rec.recordStatus(http.StatusOK)
}

// recoverPanic answers a panic with 500, or cuts the connection when an answer had begun.
func (in *instrumentedHandler) recoverPanic(rec *responseRecorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == any(http.ErrAbortHandler) {
		panic(v)
	}
	in.log.ErrorContext(r.Context(), "panic in an HTTP handler", "panic", v, "stack", string(debug.Stack()))
	err := fmt.Errorf("panic: %v", v)
	if rec.status != 0 {
		requestStateOf(r.Context()).err = err
		panic(http.ErrAbortHandler)
	}
	WriteProblem(rec, r, err)
}

// logAndCount logs and counts a request that is over, or whose client has left.
func (in *instrumentedHandler) logAndCount(r *http.Request, rec *responseRecorder, seen *requestState, span trace.Span, left bool) {
	took, method, status := time.Since(seen.start), methodLabel(r.Method), rec.status
	pattern := cmp.Or(seen.route, r.Pattern)
	route := cmp.Or(pattern, "unmatched")
	if status == 0 || status >= 500 && left {
		status = statusClientClosedRequest
	}
	endSpan(span, r, pattern, status)
	in.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	in.duration.WithLabelValues(route, method).Observe(took.Seconds())

	level := slog.LevelInfo
	switch {
	case status == http.StatusInternalServerError:
		level = slog.LevelError
	case status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	if !in.log.Enabled(r.Context(), level) {
		return
	}
	line := slog.NewRecord(time.Now(), level, "HTTP request", 0) // looking for the caller costs more than the line
	line.AddAttrs(
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", rec.bytes), slog.Int64("duration_us", took.Microseconds()),
		slog.String("client", r.RemoteAddr),
	)
	if seen.err != nil {
		line.AddAttrs(slog.String("error", seen.err.Error()))
	}
	_ = in.log.Handler().Handle(r.Context(), line) // what cannot be logged is lost, as with any line
}

// methodLabel keeps the values of the label few, whatever clients send.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "other"
}

// responseRecorder notes the status and size of an answer.
type responseRecorder struct {
	http.ResponseWriter
	status int // 0 until the answer begins
	bytes  int64
}

func (w *responseRecorder) recordStatus(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
}

func (w *responseRecorder) WriteHeader(status int) {
	w.recordStatus(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseRecorder) Write(p []byte) (int, error) {
	w.recordStatus(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Flush is for handlers that ask for http.Flusher; Unwrap serves http.ResponseController.
func (w *responseRecorder) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController asks before it settles for Flush.
func (w *responseRecorder) FlushError() error {
	w.recordStatus(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *responseRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
