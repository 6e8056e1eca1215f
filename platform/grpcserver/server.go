// Package grpcserver implements a gRPC server with limits on time, size and connections,
// interceptors for logging, metrics, tracing and deadlines, and one mapping of
// application errors to status codes.
//
// A call, unary or stream, passes from left to right:
//
//	limitReceiveTime → metrics → serveUnary / serveStream         → recovery      → service's own → method
//	(unary calls)                id, deadline, error → status, log  panic → error
package grpcserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"example.com/todo/platform/config"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/tlsconfig"
)

// Config has the limits of a server. A time of 0 means no limit, where Validate accepts it.
type Config struct {
	Addr                 string        `config:"addr"` // host:port; port 0 picks a free one
	MaxRecvBytes         int           `config:"max_recv_bytes"`
	MaxConcurrentStreams int           `config:"max_concurrent_streams"` // concurrent calls on a connection
	KeepaliveTime        time.Duration `config:"keepalive_time"`         // a silent client is pinged after this
	KeepaliveTimeout     time.Duration `config:"keepalive_timeout"`      // and disconnected after this without an answer
	KeepaliveMinTime     time.Duration `config:"keepalive_min_time"`     // a client that pings more often is disconnected
	ReadTimeout          time.Duration `config:"read_timeout"`           // for the message of a unary call to arrive
	RequestTimeout       time.Duration `config:"request_timeout"`        // for unary calls from then on; streams have no deadline
	DrainTimeout         time.Duration `config:"drain_timeout"`          // for calls in flight to finish after the stop
	MaxConns             int           `config:"max_conns"`              // concurrent connections, at least 1
	MaxConnAge           time.Duration `config:"max_conn_age"`           // the age of a connection at which its streams end

	tlsconfig.ServerFiles

	Sources config.Sources // for errors
}

// Defaults returns the limits for an API on addr.
func Defaults(addr string) Config {
	return Config{
		Addr:                 addr,
		MaxRecvBytes:         256 << 10,
		MaxConcurrentStreams: 250,
		KeepaliveTime:        30 * time.Second,
		KeepaliveTimeout:     10 * time.Second,
		KeepaliveMinTime:     10 * time.Second,
		ReadTimeout:          10 * time.Second,
		RequestTimeout:       5 * time.Second,
		DrainTimeout:         10 * time.Second,
		MaxConns:             10_000,
		MaxConnAge:           time.Hour,
	}
}

// The ranges of the settings. A value outside has a wrong unit.
const (
	minTime           = time.Millisecond
	minKeepaliveTime  = time.Second // grpc-go raises a shorter keepalive_time to this
	maxTime           = 24 * time.Hour
	highestMaxConnAge = 30 * 24 * time.Hour // of a connection
	minMessageBytes   = 1 << 10             // bytes
	maxMessageBytes   = 64 << 20
	highestMaxStreams = 1_000_000
	highestMaxConns   = 1_000_000
)

// Validate returns an error for an address that cannot be listened on, and for limits that
// grpc-go would replace by its own, that allow nothing, or that are out of range, and for TLS
// files that cannot be used.
func (c Config) Validate() error {
	const noBound = "no bound"
	return errors.Join(
		config.CheckListenAddr("addr", c.Addr),
		config.CheckRange("max_recv_bytes", c.MaxRecvBytes, minMessageBytes, maxMessageBytes),
		config.CheckRange("max_concurrent_streams", c.MaxConcurrentStreams, 1, highestMaxStreams),
		config.CheckRange("max_conns", c.MaxConns, 1, highestMaxConns),
		config.CheckRangeOrZero("max_conn_age", c.MaxConnAge, minTime, highestMaxConnAge, "connections do not age"),
		config.CheckRangeOrZero("read_timeout", c.ReadTimeout, minTime, maxTime, noBound),
		config.CheckRange("keepalive_time", c.KeepaliveTime, minKeepaliveTime, maxTime),
		config.CheckRange("keepalive_timeout", c.KeepaliveTimeout, minTime, maxTime),
		config.CheckRange("keepalive_min_time", c.KeepaliveMinTime, minTime, maxTime),
		config.CheckRangeOrZero("request_timeout", c.RequestTimeout, minTime, maxTime, noBound),
		config.CheckRangeOrZero("drain_timeout", c.DrainTimeout, minTime, maxTime, noBound),
		c.ServerFiles.Validate(),
	)
}

// Telemetry has the destinations of logs, metrics and traces.
type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

// streamWorkers is the number of goroutines that handle calls before new ones are started.
// Their stacks have grown already, which saves a tenth of a short call. A stream occupies
// its worker until it ends.
const streamWorkers = 64

// Server is a gRPC server, bound by Listen and served by Run.
type Server struct {
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	grpc     *grpc.Server
	health   *health.Server
	unary    map[string]bool // by full method name
	stopping context.Context // ends when Run is stopped
	stop     context.CancelFunc
}

// Listen binds cfg.Addr and registers the services, the health service and reflection. Run
// then serves on the listener that limit returns, see clientlimit.ConnLimiter. The
// interceptors in options run after those of the server.
//
// Each call has a request id (the client's x-request-id when that is safe, echoed in the
// header), a span, a log line and metrics. Errors and panics are answered by Status. A
// message that cannot be decoded is answered INVALID_ARGUMENT.
//
// A connection accepts no new calls some time before it is cfg.MaxConnAge old. Its streams
// end in the last tenth of that age with apperr.Unavailable. It is closed when all calls
// have ended, or by force 30 s after that age or a little later.
//
// With cfg.TLSCert the server speaks TLS, and with cfg.TLSClientCA it demands a client
// certificate.
func Listen(cfg Config, limit func(net.Listener) net.Listener, t Telemetry, register func(grpc.ServiceRegistrar), options ...grpc.ServerOption) (*Server, error) {
	secure, err := cfg.ListenerConfig(cfg.Sources, tls.RequireAndVerifyClientCert, "h2")
	if err != nil {
		return nil, err
	}
	if secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	listener, err := cfg.Sources.Listen("addr", cfg.Addr)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: t.Log, listener: limit(listener), health: health.NewServer(), unary: map[string]bool{}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	calls := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(metrics.DurationBuckets())))
	t.Registry.MustRegister(calls)
	s.grpc = grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(cfg.MaxRecvBytes),
		grpc.MaxConcurrentStreams(uint32(cfg.MaxConcurrentStreams)),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.KeepaliveParams(cfg.keepalive()),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.KeepaliveMinTime, PermitWithoutStream: true}),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.InTapHandle(s.limitReceiveTime),
		grpc.StatsHandler(agingHandler{cfg.MaxConnAge, otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(t.Tracer),
			otelgrpc.WithPropagators(propagation.TraceContext{}),
			otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		)}),
		grpc.ChainUnaryInterceptor(calls.UnaryServerInterceptor(), s.serveUnary, recovery.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(calls.StreamServerInterceptor(), s.serveStream, recovery.StreamServerInterceptor()),
	}, options...)...)
	register(envelopeRegistrar{s.grpc})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.SetServing(true)
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.unary["/"+service+"/"+method.Name] = !method.IsClientStream && !method.IsServerStream
		}
	}
	calls.InitializeMetrics(s.grpc)
	return s, nil
}

// Addr returns the address of the listener, with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetServing sets the status that the health service reports for the server and each of
// its services. Initially it is true; when Run is stopped it stays false.
func (s *Server) SetServing(serving bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, status)
	}
}

// Run serves until ctx ends, and then stops gracefully: the health service reports
// NOT_SERVING, the contexts of streams end, and calls in flight have DrainTimeout to
// finish. It returns an error when it had to abort calls.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve gRPC on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.health.Shutdown()
	s.stop()
	cutOff := time.AfterFunc(cmp.Or(s.cfg.DrainTimeout, math.MaxInt64), s.grpc.Stop)
	s.grpc.GracefulStop() // returns also after Stop
	if !cutOff.Stop() {
		return fmt.Errorf("calls on %s were cut off, still running %v after the stop", s.Addr(), s.cfg.DrainTimeout)
	}
	return nil
}
