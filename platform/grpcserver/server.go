// Package grpcserver serves gRPC with bounds on everything, tells what it
// served, and answers errors by one table.
package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"example.com/todo/platform/config"
)

// Config bounds a server. A time of zero means no bound, where Validate takes it.
type Config struct {
	Addr                 string        `config:"addr"` // host:port; port 0 picks a free one
	MaxRecvBytes         int           `config:"max_recv_bytes"`
	MaxConcurrentStreams int           `config:"max_concurrent_streams"` // calls at once on one connection
	KeepaliveTime        time.Duration `config:"keepalive_time"`         // a silent client is asked after this
	KeepaliveTimeout     time.Duration `config:"keepalive_timeout"`      // and dropped after this
	KeepaliveMinTime     time.Duration `config:"keepalive_min_time"`     // a client that asks more often is dropped
	ReadTimeout          time.Duration `config:"read_timeout"`           // how long the message of a unary call may take
	RequestTimeout       time.Duration `config:"request_timeout"`        // the deadline of unary calls from then on; streams have none
	DrainTimeout         time.Duration `config:"drain_timeout"`          // how long calls may finish after the stop
	MaxConns             int           `config:"max_conns"`              // connections at once, at least 1
	MaxConnAge           time.Duration `config:"max_conn_age"`           // streams end when their connection is so old
}

// Defaults returns the bounds that suit an API on addr.
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

// The bounds of the bounds: outside them the unit of the value is a mistake.
const (
	minTime           = time.Millisecond
	minKeepaliveTime  = time.Second // grpc-go raises a shorter keepalive_time to it
	maxTime           = 24 * time.Hour
	highestMaxConnAge = 30 * 24 * time.Hour // of a connection
	minMessageBytes   = 1 << 10             // bytes
	maxMessageBytes   = 64 << 20
	highestMaxStreams = 1_000_000
	highestMaxConns   = 1_000_000
)

// Validate refuses an address that cannot be listened on, and bounds that grpc-go would
// replace by its own, that let nothing pass or that cannot be meant.
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
	)
}

// Telemetry is where a server tells what it does.
type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

// streamWorkers take calls before new goroutines do: their stacks have grown already, which
// is a tenth of a short call. A stream keeps one for as long as it lasts.
const streamWorkers = 64

// Server is a bound listener and what it serves.
type Server struct {
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	grpc     *grpc.Server
	health   *health.Server
	services []string        // that health knows by name
	unary    map[string]bool // the full names of unary methods
	stopping context.Context // ends when the server is told to stop
	stop     context.CancelFunc
}

// Interceptors run inside those of the server, in order.
type Interceptors struct {
	Unary  []grpc.UnaryServerInterceptor
	Stream []grpc.StreamServerInterceptor
}

// Listen binds cfg.Addr at once, behind what limit makes of the listener (see
// clientlimit.Conns), and registers the services, health and reflection. Every call,
// unary or stream, gets a request id (the client's x-request-id when that is a safe
// token, echoed in the header), a span, a log line and metrics; its panics and errors are answered through Status. A message
// that cannot be decoded is the client's mistake: INVALID_ARGUMENT.
//
// A connection takes no new calls some time before it is cfg.MaxConnAge old; its
// streams end in the last tenth of that age with fault.Unavailable; and it is
// closed when all have ended, or by force 30 s after it or a little later.
func Listen(cfg Config, limit func(net.Listener) net.Listener, t Telemetry, register func(grpc.ServiceRegistrar), inner Interceptors) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: t.Log, listener: limit(listener), health: health.NewServer(), unary: map[string]bool{}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	metrics := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets([]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10})))
	t.Registry.MustRegister(metrics)
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(cfg.MaxRecvBytes),
		grpc.MaxConcurrentStreams(uint32(cfg.MaxConcurrentStreams)),
		grpc.MaxHeaderListSize(16<<10),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveParams(cfg.keepalive()),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.KeepaliveMinTime, PermitWithoutStream: true}),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.InTapHandle(s.limitReceiveTime),
		grpc.StatsHandler(agingHandler{cfg.MaxConnAge, otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(t.Tracer),
			otelgrpc.WithPropagators(propagation.TraceContext{}),
			otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		)}),
		grpc.ChainUnaryInterceptor(append([]grpc.UnaryServerInterceptor{
			s.logUnary, metrics.UnaryServerInterceptor(), s.deadlineUnary, recovery.UnaryServerInterceptor(),
		}, inner.Unary...)...),
		grpc.ChainStreamInterceptor(append([]grpc.StreamServerInterceptor{
			s.logStream, metrics.StreamServerInterceptor(), s.deadlineStream, recovery.StreamServerInterceptor(),
		}, inner.Stream...)...),
	)
	register(envelopeRegistrar{s.grpc})
	s.services = append(slices.Collect(maps.Keys(s.grpc.GetServiceInfo())), "")
	s.SetServing(true)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.unary["/"+service+"/"+method.Name] = !method.IsClientStream && !method.IsServerStream
		}
	}
	metrics.InitializeMetrics(s.grpc)
	return s, nil
}

// Addr is where the server listens, with the port it got.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// SetServing is what the health service says of the server and of each of its
// services from now on. It begins with true, and ends with false at the stop.
func (s *Server) SetServing(serving bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthpb.HealthCheckResponse_SERVING
	}
	for _, name := range s.services {
		s.health.SetServingStatus(name, status)
	}
}

// Run serves until ctx ends. Then health says NOT_SERVING, the contexts of
// streams end, and calls in flight may finish for DrainTimeout. It is an error
// when some had to be cut off.
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
	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	var limit <-chan time.Time
	if s.cfg.DrainTimeout > 0 {
		limit = time.After(s.cfg.DrainTimeout)
	}
	select {
	case <-drained:
		return nil
	case <-limit:
		s.grpc.Stop()
		<-drained
		return fmt.Errorf("calls on %s were cut off, still running %v after the stop", s.Addr(), s.cfg.DrainTimeout)
	}
}
