package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/tracing"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceContinuesAcrossAMessage(t *testing.T) {
	t.Parallel()
	tp, err := tracing.New(t.Context(), tracing.Config{}, "some-service")
	if err != nil {
		t.Fatal(err)
	}
	defer tracing.Close(t.Context(), tp, slog.New(slog.DiscardHandler))

	ctx, span := tp.Tracer("test").Start(t.Context(), "send")
	defer span.End()
	if !span.SpanContext().IsValid() {
		t.Fatal("without an endpoint there are no ids")
	}
	sent := tracing.Traceparent(ctx)
	received := trace.SpanContextFromContext(tracing.WithTraceparent(t.Context(), sent))
	if received.TraceID() != span.SpanContext().TraceID() || received.SpanID() != span.SpanContext().SpanID() {
		t.Errorf("sent %s, received %v", sent, received)
	}
}

func TestTraceparentIsTheW3CFormOrNothing(t *testing.T) {
	t.Parallel()
	if got := tracing.Traceparent(t.Context()); got != "" {
		t.Errorf("without a span: %q", got)
	}
	if got := tracing.Traceparent(tracing.WithTraceparent(t.Context(), parent)); got != parent {
		t.Errorf("got %q, want %q", got, parent)
	}
	for _, bad := range []string{"", "malformed", "00-0-0-01", parent + "x"} {
		if got := tracing.Traceparent(tracing.WithTraceparent(t.Context(), bad)); got != "" {
			t.Errorf("%q gave %q", bad, got)
		}
	}
}

// traceCollector is an OTLP collector that reports the names of the spans.
type traceCollector struct {
	collector.UnimplementedTraceServiceServer
	spans chan string
}

func (s traceCollector) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, r := range req.ResourceSpans {
		service := r.Resource.Attributes[0].Value.GetStringValue()
		for _, scope := range r.ScopeSpans {
			for _, span := range scope.Spans {
				s.spans <- service + ": " + span.Name
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// newExportingProvider returns a tracer provider that exports to the collector each span
// whose parent is sampled.
func newExportingProvider(t *testing.T, server collector.TraceServiceServer) *sdktrace.TracerProvider {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	collector.RegisterTraceServiceServer(srv, server)
	go srv.Serve(lis)
	t.Cleanup(srv.GracefulStop)
	tp, err := tracing.New(t.Context(), tracing.Config{Endpoint: lis.Addr().String(), SampleRatio: 0}, "some-service")
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

func TestSpansAreExportedToTheEndpoint(t *testing.T) {
	t.Parallel()
	spans := make(chan string, 10)
	tp := newExportingProvider(t, traceCollector{spans: spans})
	_, span := tp.Tracer("test").Start(t.Context(), "not sampled")
	span.End()
	_, span = tp.Tracer("test").Start(tracing.WithTraceparent(t.Context(), parent), "sampled by its parent")
	span.End()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the last spans are exported even after the end of the context
	var log bytes.Buffer
	tracing.Close(ctx, tp, slog.New(slog.NewTextHandler(&log, nil)))
	if log.Len() > 0 {
		t.Fatal(log.String())
	}
	if got := <-spans; got != "some-service: sampled by its parent" {
		t.Errorf("got %q", got)
	}
}

// hangingCollector is an OTLP collector that answers when release is closed.
type hangingCollector struct {
	collector.UnimplementedTraceServiceServer
	release chan struct{}
}

func (s hangingCollector) Export(context.Context, *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	<-s.release
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestHangingEndpointDelaysNeitherSpansNorClose(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	tp := newExportingProvider(t, hangingCollector{release: release})
	_, span := tp.Tracer("test").Start(tracing.WithTraceparent(t.Context(), parent), "never exported")
	span.End()
	var log bytes.Buffer
	start := time.Now()
	tracing.Close(t.Context(), tp, slog.New(slog.NewTextHandler(&log, nil)))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") {
		t.Errorf("logged %q, want one warning", got)
	}
}

func TestSampleRatioIsBetween0And1(t *testing.T) {
	t.Parallel()
	for ratio, ok := range map[float64]bool{-0.1: false, 0: true, 1: true, 1.1: false} {
		if err := (tracing.Config{SampleRatio: ratio}).Validate(); (err == nil) != ok {
			t.Errorf("%v: %v", ratio, err)
		}
	}
}
