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

// startSpan starts the server span of a request, in the trace of the client if the header
// has one. endSpan adds the attributes, the largest cost, to a recorded span only.
func startSpan(ctx context.Context, tracer trace.Tracer, header http.Header) (context.Context, trace.Span) {
	if len(header["Traceparent"]) > 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	}
	return tracer.Start(ctx, "HTTP", serverKind)
}

// endSpan ends the span. It sets name and attributes of a recorded span by OpenTelemetry's
// semantic conventions for HTTP.
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

// routePath returns the path of a pattern, which may start with a method and a host.
func routePath(pattern string) string {
	if path := strings.IndexByte(pattern, '/'); path >= 0 {
		return pattern[path:]
	}
	return ""
}

// hostPortAttributes returns prefix.address and, if there is a port, prefix.port.
func hostPortAttributes(prefix, hostport string) []attribute.KeyValue {
	u := url.URL{Host: hostport}
	attrs := []attribute.KeyValue{attribute.String(prefix+".address", u.Hostname())}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		attrs = append(attrs, attribute.Int(prefix+".port", port))
	}
	return attrs
}
