// Package tracing implements distributed tracing with OpenTelemetry: it creates the
// tracer provider of a service and propagates traces over messages in the W3C format.
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
	"example.com/todo/platform/tlsconfig"
)

// Config has the OTLP gRPC endpoint for traces, as host:port (plaintext) or as a URL
// (https for TLS). Without an endpoint nothing is exported; logs and messages still have
// trace ids. SampleRatio is the share, 0 to 1, of the traces started here that are
// exported.
type Config struct {
	Endpoint    string  `config:"endpoint"`
	SampleRatio float64 `config:"sample_ratio"`
}

// Validate returns an error for an endpoint that cannot be dialed, or a ratio outside
// 0 to 1.
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

// TLSEndpoint describes the connection to the endpoint for a tlsconfig.Monitor.
func (c Config) TLSEndpoint() tlsconfig.Endpoint {
	scheme, addr, isURL := strings.Cut(c.Endpoint, "://")
	switch {
	case c.Endpoint == "", isURL && strings.EqualFold(scheme, "https"):
		return tlsconfig.Endpoint{}
	case !isURL:
		addr = c.Endpoint
	}
	return tlsconfig.PlaintextEndpoint("tracing", "https:// in tracing.endpoint", strings.TrimRight(addr, "/"))
}

// closeTimeout bounds Close. It is short, because the shutdown of the process waits for it.
const closeTimeout = 2 * time.Second

// New returns the tracer provider of the service; release it by Close. It does not
// connect: an endpoint that is down is not an error.
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

// Close exports the pending spans and closes the provider, also when ctx has ended. After
// 2 s it gives up; it logs spans that it could not export, and returns no error for them.
func Close(ctx context.Context, provider *sdktrace.TracerProvider, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := provider.Shutdown(ctx); err != nil {
		log.WarnContext(ctx, "tracing: exporting the last spans failed, they may be lost", "error", err)
	}
}

// Traceparent returns the W3C traceparent of the span in ctx, or "" without a span.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// WithTraceparent returns a context whose next span continues the trace of traceparent,
// or ctx when traceparent is empty or malformed.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
