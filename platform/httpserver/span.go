package httpserver

import (
	"cmp"
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var ofServer = trace.WithSpanKind(trace.SpanKindServer)

// startSpan begins the server's span of a request, within the trace that the
// client names. What describes it is added at its end, and only when it is
// recorded: most of the cost of a span is there.
func startSpan(ctx context.Context, tracer trace.Tracer, header http.Header) (context.Context, trace.Span) {
	if len(header["Traceparent"]) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	}
	return tracer.Start(ctx, "HTTP", ofServer)
}

// endSpan names and describes the span by the conventions of OpenTelemetry.
func endSpan(span trace.Span, r *http.Request, pattern string, status int) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	method := knownMethod(r.Method)
	span.SetName(cmp.Or(pattern, method))
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.String("http.route", pattern),
		attribute.Int("http.response.status_code", status),
		attribute.String("url.path", r.URL.Path),
		attribute.String("url.scheme", "http"),
		attribute.String("server.address", r.Host),
		attribute.String("network.peer.address", r.RemoteAddr),
		attribute.String("network.protocol.version", r.Proto),
		attribute.String("user_agent.original", r.UserAgent()),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
