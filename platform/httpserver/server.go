// Package httpserver serves HTTP with bounds on everything, tells what it
// served, reads JSON strictly and answers errors as RFC 9457 problem documents.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
)

// Config bounds a server. A time of zero means no bound, where Validate takes it.
type Config struct {
	Addr              string        `config:"addr"` // host:port; port 0 picks a free one
	ReadHeaderTimeout time.Duration `config:"read_header_timeout"`
	ReadTimeout       time.Duration `config:"read_timeout"` // header and body
	IdleTimeout       time.Duration `config:"idle_timeout"`
	MaxHeaderBytes    int           `config:"max_header_bytes"`
	RequestTimeout    time.Duration `config:"request_timeout"` // the deadline on each request's context
	DrainTimeout      time.Duration `config:"drain_timeout"`   // how long requests may finish after the stop
	MaxConns          int           `config:"max_conns"`       // connections at once, at least 1
	AllowedHosts      []string      `config:"allowed_hosts"`   // served beside those that always are; see Guard
	CORSOrigins       []string      `config:"cors_origins"`    // whose pages may use the API: https://app.example.com, or * for all
}

// Defaults returns the bounds that suit an API on addr.
func Defaults(addr string) Config {
	return Config{
		Addr:              addr,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       75 * time.Second, // longer than load balancers keep a connection, which is 60 s
		MaxHeaderBytes:    16 << 10,
		RequestTimeout:    5 * time.Second,
		DrainTimeout:      10 * time.Second,
		MaxConns:          10_000,
	}
}

// The bounds of the bounds: outside them the unit of the value is a mistake.
const (
	minTime         = time.Millisecond
	maxTime         = 24 * time.Hour
	minHeaderBytes  = 1 << 10 // bytes
	maxHeaderBytes  = 1 << 20
	highestMaxConns = 1_000_000
)

// Validate refuses an address that cannot be listened on, bounds that net/http would
// replace by others or that cannot be meant, and hosts and origins that no request can
// have.
func (c Config) Validate() error {
	const noBound = "no bound"
	return errors.Join(
		config.CheckListenAddr("addr", c.Addr),
		config.CheckRange("read_header_timeout", c.ReadHeaderTimeout, minTime, maxTime),
		config.CheckRangeOrZero("read_timeout", c.ReadTimeout, minTime, maxTime, noBound),
		config.CheckRange("idle_timeout", c.IdleTimeout, minTime, maxTime),
		config.CheckRange("max_header_bytes", c.MaxHeaderBytes, minHeaderBytes, maxHeaderBytes),
		config.CheckRangeOrZero("request_timeout", c.RequestTimeout, minTime, maxTime, noBound),
		config.CheckRangeOrZero("drain_timeout", c.DrainTimeout, minTime, maxTime, noBound),
		config.CheckRange("max_conns", c.MaxConns, 1, highestMaxConns),
		ValidateHosts("allowed_hosts", c.AllowedHosts),
		validateOrigins(c.CORSOrigins),
	)
}

// Server is a bound listener and what it serves.
type Server struct {
	http         *http.Server
	listener     net.Listener
	drainTimeout time.Duration
	closing      atomic.Bool
}

// Listen binds cfg.Addr at once; Run serves h on what limit makes of the listener
// (see clientlimit.Conns). Where there is a RequestTimeout, a client has
// ReadTimeout more to take the answer; a Stream has bounds of its own.
func Listen(cfg Config, limit func(net.Listener) net.Listener, h http.Handler) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	listener = limit(listener)
	s := &Server{listener: listener, drainTimeout: cfg.DrainTimeout}
	s.http = &http.Server{
		Handler:           s.withConnectionClose(h),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		ErrorLog:          logging.Library("net/http", slog.LevelWarn),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },

		DisableGeneralOptionsHandler: true, // OPTIONS * is a request as any other
	}
	if cfg.RequestTimeout > 0 {
		s.http.WriteTimeout = cfg.RequestTimeout + cfg.ReadTimeout
	}
	return s, nil
}

// CloseConnections is a part of the first stage to stop: from then on each answer asks its
// client to connect anew, which a load balancer by then does elsewhere. So no
// connection is in use when Run closes those that are idle.
func (s *Server) CloseConnections(ctx context.Context) error {
	<-ctx.Done()
	s.closing.Store(true)
	return nil
}

func (s *Server) withConnectionClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.closing.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Addr is where the server listens, with the port it got.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, then takes no new requests and lets those in
// flight finish for DrainTimeout. It is an error when some had to be cut off.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	ctx = context.WithoutCancel(ctx)
	if s.drainTimeout > 0 {
		limited, cancel := context.WithTimeout(ctx, s.drainTimeout)
		defer cancel()
		ctx = limited
	}
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return fmt.Errorf("requests on %s were cut off, still running %v after the stop", s.Addr(), s.drainTimeout)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
