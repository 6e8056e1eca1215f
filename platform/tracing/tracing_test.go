package tracing_test

import (
	"context"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"example.com/todo/platform/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestATraceContinuesOverAMessage(t *testing.T) {
	t.Parallel()
	tp, err := tracing.New(t.Context(), tracing.Config{}, "some-service")
	if err != nil {
		t.Fatal(err)
	}
	defer tp.Shutdown(context.WithoutCancel(t.Context()))

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
	for _, bad := range []string{"", "rubbish", "00-0-0-01", parent + "x"} {
		if got := tracing.Traceparent(tracing.WithTraceparent(t.Context(), bad)); got != "" {
			t.Errorf("%q gave %q", bad, got)
		}
	}
}

// sink is an OTLP collector that passes on the names of spans.
type sink struct {
	collector.UnimplementedTraceServiceServer
	spans chan string
}

func (s sink) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
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

func TestSpansReachTheEndpoint(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, spans := grpc.NewServer(), make(chan string, 10)
	collector.RegisterTraceServiceServer(srv, sink{spans: spans})
	go srv.Serve(lis)
	defer srv.Stop()

	tp, err := tracing.New(t.Context(), tracing.Config{Endpoint: lis.Addr().String(), SampleRatio: 0}, "some-service")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tp.Tracer("test").Start(t.Context(), "not sampled")
	span.End()
	_, span = tp.Tracer("test").Start(tracing.WithTraceparent(t.Context(), parent), "sampled by its parent")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := tp.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-spans; got != "some-service: sampled by its parent" {
		t.Errorf("got %q", got)
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
