package httpserver

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var serverKind = trace.WithSpanKind(trace.SpanKindServer)

// startSpan starts the server span of a request, in the trace of the client if the header
// has one. endSpan adds the attributes, the largest cost, to a recorded span only.
func startSpan(ctx context.Context, tracer trace.Tracer, header http.Header) (context.Context, trace.Span) {
	if len(header["Traceparent"]) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	}
	return tracer.Start(ctx, "HTTP", serverKind)
}

// endSpan ends the span. It sets the name and the required attributes of a recorded span by
// OpenTelemetry's semantic conventions for HTTP.
func endSpan(span trace.Span, r *http.Request, pattern string, status int) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	method := methodLabel(r.Method)
	span.SetName(method)
	// A pattern may start with a method and a host.
	if path := strings.IndexByte(pattern, '/'); path >= 0 {
		span.SetName(method + " " + pattern[path:])
		span.SetAttributes(attribute.String("http.route", pattern[path:]))
	}
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.Int("http.response.status_code", status),
		attribute.String("url.path", recordedPath(r.URL.Path)),
		attribute.String("url.scheme", "http"),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
