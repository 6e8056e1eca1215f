// Package ops stub.
package ops

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/lifecycle"
)

type Config struct {
	Addr  string `config:"addr"`
	Pprof bool   `config:"pprof"`
}

type Check struct {
	Name string
	Func func(context.Context) error
}

type Server struct{}

func Listen(cfg Config, log *slog.Logger, g prometheus.Gatherer, checks ...Check) (*Server, error) {
	panic("soon")
}
func (s *Server) Run(ctx context.Context) error           { panic("soon") }
func (s *Server) Addr() string                            { panic("soon") }
func (s *Server) Drain(wait time.Duration) lifecycle.Part { panic("soon") }

// Probe asks /readyz of a running process (subcommand healthcheck).
func Probe(ctx context.Context, cfg Config) error { panic("soon") }
