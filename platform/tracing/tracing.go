// Package tracing makes the tracer of a service and carries its trace over
// messages, in the W3C form alone.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/todo/platform/config"
)

// Config says where traces go: an OTLP gRPC endpoint, as host:port (plain) or
// as a URL (https for TLS). Without one there are trace ids in logs and
// messages, and nothing is exported. SampleRatio is the share of traces that
// begin here and are exported, 0 to 1.
type Config struct {
	Endpoint    string  `config:"endpoint"`
	SampleRatio float64 `config:"sample_ratio"`
}

// Validate refuses an endpoint that cannot be dialed, and a ratio outside 0 to 1.
func (c Config) Validate() error {
	return errors.Join(c.checkEndpoint(), config.CheckRange("sample_ratio", c.SampleRatio, 0, 1))
}

func (c Config) checkEndpoint() error {
	const key = "endpoint"
	switch {
	case c.Endpoint == "":
		return nil
	case !strings.Contains(c.Endpoint, "://"):
		return config.CheckServerAddrs(key, c.Endpoint)
	}
	if err := config.CheckURL(key, c.Endpoint, "http", "https"); err != nil {
		return err
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Port() == "":
		return config.Invalid(key, "must name a port, such as 4317: gRPC would take 443, also without TLS")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return config.Invalid(key, "must end with the port: gRPC has no path; OTLP over HTTP, which has one and mostly listens on 4318, is not spoken")
	}
	return nil
}

// closeTimeout bounds Close: it is short, because whoever stops the process waits.
const closeTimeout = 2 * time.Second

// New returns a tracer provider, to be closed with Close. An endpoint that does
// not answer is no error.
func New(ctx context.Context, cfg Config, service string) (*sdktrace.TracerProvider, error) {
	if cfg.Endpoint == "" {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample()))), nil
	}
	endpoint := cfg.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("tracing endpoint %s: %w", cfg.Endpoint, err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	), nil
}

// Close sends what is still waiting, for at most two seconds. Traces that are
// lost so are no failure of the service, only logged.
func Close(ctx context.Context, provider *sdktrace.TracerProvider, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := provider.Shutdown(ctx); err != nil {
		log.WarnContext(ctx, "the last traces may be lost: they could not be sent", "error", err)
	}
}

// Traceparent returns the W3C traceparent of the span in ctx, or "".
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// WithTraceparent returns a context whose next span continues the trace that
// traceparent names. One that is empty or malformed changes nothing.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
