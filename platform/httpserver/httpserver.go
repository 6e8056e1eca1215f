// Package httpserver stub.
package httpserver

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

type Config struct {
	Addr              string        `config:"addr"`
	ReadHeaderTimeout time.Duration `config:"read_header_timeout"`
	ReadTimeout       time.Duration `config:"read_timeout"`
	IdleTimeout       time.Duration `config:"idle_timeout"`
	MaxHeaderBytes    int           `config:"max_header_bytes"`
	RequestTimeout    time.Duration `config:"request_timeout"`
	DrainTimeout      time.Duration `config:"drain_timeout"`
}

func Defaults(addr string) Config { panic("soon") }

type Server struct{}

func Listen(cfg Config, h http.Handler) (*Server, error) { panic("soon") }
func (s *Server) Run(ctx context.Context) error          { panic("soon") }
func (s *Server) Addr() string                           { panic("soon") }

type Telemetry struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
	Tracer   trace.TracerProvider
}

func Instrument(h http.Handler, cfg Config, t Telemetry) http.Handler { panic("soon") }

// Routes serves mux, with its 404 and 405 answers as problem documents.
func Routes(mux *http.ServeMux) http.Handler                         { panic("soon") }
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) { panic("soon") }
func Refuse(status int, format string, args ...any) error            { panic("soon") }
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any, alsoAccept ...string) error {
	panic("soon")
}
