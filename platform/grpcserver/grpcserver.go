// Package grpcserver stub.
package grpcserver

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
)

type Config struct {
	Addr                 string        `config:"addr"`
	MaxRecvBytes         int           `config:"max_recv_bytes"`
	MaxConcurrentStreams int           `config:"max_concurrent_streams"`
	KeepaliveTime        time.Duration `config:"keepalive_time"`
	KeepaliveTimeout     time.Duration `config:"keepalive_timeout"`
	KeepaliveMinTime     time.Duration `config:"keepalive_min_time"`
	RequestTimeout       time.Duration `config:"request_timeout"`
	DrainTimeout         time.Duration `config:"drain_timeout"`
}

func Defaults(addr string) Config { panic("soon") }

type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

type Server struct{}

func Listen(cfg Config, t Telemetry, register func(grpc.ServiceRegistrar), unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor) (*Server, error) {
	panic("soon")
}
func (s *Server) Run(ctx context.Context) error { panic("soon") }
func (s *Server) Addr() string                  { panic("soon") }
func Status(err error) error                    { panic("soon") }
