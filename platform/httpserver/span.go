package httpserver

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var serverKind = trace.WithSpanKind(trace.SpanKindServer)

// startSpan begins the server's span of a request, within the trace that the
// client names. What describes it is added at its end, and only when it is
// recorded: most of the cost of a span is there.
func startSpan(ctx context.Context, tracer trace.Tracer, header http.Header) (context.Context, trace.Span) {
	if len(header["Traceparent"]) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	}
	return tracer.Start(ctx, "HTTP", serverKind)
}

// endSpan names and describes the span by the conventions of OpenTelemetry.
func endSpan(span trace.Span, r *http.Request, pattern string, status int) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	method := methodLabel(r.Method)
	name := method
	if route := routePath(pattern); route != "" {
		name += " " + route
		span.SetAttributes(attribute.String("http.route", route))
	}
	span.SetName(name)
	span.SetAttributes(hostPortAttributes("server", r.Host)...)
	span.SetAttributes(hostPortAttributes("network.peer", r.RemoteAddr)...)
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.Int("http.response.status_code", status),
		attribute.String("url.path", r.URL.Path),
		attribute.String("url.scheme", "http"),
		attribute.String("network.protocol.version", strings.TrimPrefix(r.Proto, "HTTP/")),
		attribute.String("user_agent.original", r.UserAgent()),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}

// routePath is the path of a pattern, which may begin with a method and a host.
func routePath(pattern string) string {
	if path := strings.IndexByte(pattern, '/'); path >= 0 {
		return pattern[path:]
	}
	return ""
}

// hostPortAttributes describes who is at one end: an address, and a port where there is one.
func hostPortAttributes(end, hostport string) []attribute.KeyValue {
	at := url.URL{Host: hostport}
	described := []attribute.KeyValue{attribute.String(end+".address", at.Hostname())}
	if port, err := strconv.Atoi(at.Port()); err == nil {
		described = append(described, attribute.Int(end+".port", port))
	}
	return described
}
