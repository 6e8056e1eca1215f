package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"

	"example.com/todo/platform/logging"
	"example.com/todo/platform/metrics"
)

const requestIDHeader = "X-Request-Id"

// statusClientClosedRequest is the status in logs and metrics of a request whose client
// disconnected before the response. The name and number are those of nginx.
const statusClientClosedRequest = 499

// Telemetry has the destinations of logs, metrics and traces.
type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

// Instrument returns h behind the middleware of every service. It does, in this order:
//
//	1  request id    the client's X-Request-Id when that is safe, else a new one; echoed
//	2  span          continues the client's trace
//	3  deadline      cfg.RequestTimeout, unless a Stream is the response
//	4  recover       a panic is logged and answered 500
//	5  host, CORS    cfg.RestrictHostsAndOrigins
//	6  h
//	7  metrics       http_requests_total{route,method,code}, http_request_duration_seconds{route,method}
//	8  log           one line per request, with the error that WriteProblem was given
//
// It is one handler for speed: in a chain each new context would copy the request.
func Instrument(h http.Handler, cfg Config, t Telemetry) http.Handler {
	factory := promauto.With(t.Registry)
	return &instrumentedHandler{
		next:    cfg.RestrictHostsAndOrigins(h),
		timeout: cfg.RequestTimeout,
		log:     t.Log,
		tracer:  t.Tracer.Tracer("example.com/todo/platform/httpserver"),
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "HTTP requests by route, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time from the request's header to the end of its response.",
			Buckets: metrics.DurationBuckets(),
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

// requestState is what the inner handlers report about a request to Instrument.
type requestState struct {
	start     time.Time
	clientCtx context.Context // ends when the client disconnects or the response is complete; has no deadline
	route     string          // the pattern that matched
	err       error           // of WriteProblem, or the cause that ended a Stream
}

type requestStateKey struct{}

// requestStateOf returns the state of the request, or a new one outside Instrument.
func requestStateOf(ctx context.Context) *requestState {
	if s, ok := ctx.Value(requestStateKey{}).(*requestState); ok {
		return s
	}
	return &requestState{clientCtx: ctx}
}

func (h *instrumentedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	clientCtx := r.Context()
	state := &requestState{start: time.Now(), clientCtx: clientCtx}
	id := logging.AcceptRequestID(r.Header.Get(requestIDHeader))
	w.Header()[requestIDHeader] = []string{id}
	traced, span := startSpan(clientCtx, h.tracer, r.Header)
	ctx := context.WithValue(logging.WithRequestID(traced, id), requestStateKey{}, state)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.timeout, math.MaxInt64))
	defer cancel()
	r = r.WithContext(ctx)
	rec := &responseRecorder{ResponseWriter: w}
	defer func() { h.logAndCount(r, rec, state, span, errors.Is(clientCtx.Err(), context.Canceled)) }()
	defer h.recoverPanic(rec, r)
	h.next.ServeHTTP(rec, r)
	rec.recordStatus(http.StatusOK)
}

// recoverPanic answers 500, or aborts the connection when the response has started.
func (h *instrumentedHandler) recoverPanic(rec *responseRecorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == any(http.ErrAbortHandler) {
		panic(v)
	}
	h.log.ErrorContext(r.Context(), "panic in an HTTP handler", "panic", v, "stack", string(debug.Stack()))
	err := fmt.Errorf("panic: %v", v)
	if rec.status != 0 {
		requestStateOf(r.Context()).err = err
		panic(http.ErrAbortHandler)
	}
	WriteProblem(rec, r, err)
}

// logAndCount logs and counts a completed request. clientGone: its client disconnected.
func (h *instrumentedHandler) logAndCount(r *http.Request, rec *responseRecorder, state *requestState, span trace.Span, clientGone bool) {
	took, method, status := time.Since(state.start), methodLabel(r.Method), rec.status
	pattern := cmp.Or(state.route, r.Pattern)
	route := cmp.Or(pattern, "unmatched")
	// A failure after the client disconnected was caused by that.
	if status == 0 || status >= 500 && clientGone {
		status = statusClientClosedRequest
	}
	endSpan(span, r, pattern, status)
	h.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	h.duration.WithLabelValues(route, method).Observe(took.Seconds())

	level := slog.LevelInfo
	switch {
	case status == http.StatusInternalServerError:
		level = slog.LevelError
	case status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	if !h.log.Enabled(r.Context(), level) {
		return
	}
	// Without a program counter: slog.Logger would look up the caller, which costs more than
	// the rest of the line.
	line := slog.NewRecord(time.Now(), level, "HTTP request", 0)
	line.AddAttrs(
		slog.String("method", r.Method), slog.String("path", recordedPath(r.URL.Path)), slog.String("route", route),
		slog.Int("status", status), slog.Int64("bytes", rec.bytes), slog.Int64("duration_us", took.Microseconds()),
		slog.String("client", r.RemoteAddr),
	)
	if state.err != nil {
		line.AddAttrs(slog.String("error", state.err.Error()))
	}
	_ = h.log.Handler().Handle(r.Context(), line) // slog.Logger ignores this error, too
}

// maxSegment is the number of bytes of a path's segment that is recorded. A longer one is no
// id, and may be a token that a client put into the path.
const maxSegment = 40

// recordedPath returns the path for logs and traces.
func recordedPath(path string) string {
	if len(path) <= maxSegment {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if len(segment) > maxSegment {
			segments[i] = fmt.Sprintf("[%d bytes]", len(segment))
		}
	}
	return strings.Join(segments, "/")
}

// methodLabel returns method, or "other" for an unknown one: clients must not be able to
// add values to the label.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "other"
}

// responseRecorder records the status and size of a response.
type responseRecorder struct {
	http.ResponseWriter
	status int // 0 until the response starts
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

// Unwrap is for http.ResponseController.
func (w *responseRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
