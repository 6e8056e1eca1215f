// Package httpserver implements an HTTP server with limits on time, size and connections,
// middleware for logging, metrics and tracing, strict JSON decoding, and problem documents
// (RFC 9457) for errors.
package httpserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/tlsconfig"
)

// Config has the limits of a server. A time of 0 means no limit, where Validate accepts it.
type Config struct {
	Addr              string        `config:"addr"` // host:port; port 0 picks a free one
	ReadHeaderTimeout time.Duration `config:"read_header_timeout"`
	ReadTimeout       time.Duration `config:"read_timeout"` // for header and body
	IdleTimeout       time.Duration `config:"idle_timeout"`
	MaxHeaderBytes    int           `config:"max_header_bytes"`
	RequestTimeout    time.Duration `config:"request_timeout"` // the deadline of the context of each request
	DrainTimeout      time.Duration `config:"drain_timeout"`   // for requests in flight to finish after the stop
	MaxConns          int           `config:"max_conns"`       // concurrent connections, at least 1
	AllowedHosts      []string      `config:"allowed_hosts"`   // served in addition to those of RestrictHostsAndOrigins
	CORSOrigins       []string      `config:"cors_origins"`    // of pages that may use the API: https://app.example.com, or * for all

	tlsconfig.ServerFiles
	ClientCertOptional bool // with TLSClientCA: the handler checks tlsconfig.HasClientCertificate

	Sources config.Sources // for errors
}

// Defaults returns the limits for an API on addr.
func Defaults(addr string) Config {
	return Config{
		Addr:              addr,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       75 * time.Second, // longer than the 60 s of load balancers, so that they close idle connections
		MaxHeaderBytes:    16 << 10,
		RequestTimeout:    5 * time.Second,
		DrainTimeout:      10 * time.Second,
		MaxConns:          10_000,
	}
}

// The ranges of the settings. A value outside has a wrong unit.
const (
	minTime         = time.Millisecond
	maxTime         = 24 * time.Hour
	minHeaderBytes  = 1 << 10 // bytes
	maxHeaderBytes  = 1 << 20
	highestMaxConns = 1_000_000
)

// Validate returns an error for an address that cannot be listened on, for limits that
// net/http would replace by others or that are out of range, for hosts and origins
// that no request can have, and for TLS files that cannot be used.
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
		validateHosts(c.AllowedHosts),
		validateOrigins(c.CORSOrigins),
		c.ServerFiles.Validate(),
	)
}

// Server is an HTTP server, bound by Listen and served by Run.
type Server struct {
	http         *http.Server
	listener     net.Listener
	drainTimeout time.Duration
	closing      atomic.Bool
}

// connKey is the context key of the connection of a request.
type connKey struct{}

// Listen binds cfg.Addr. Run then serves h on the listener that limit returns, see
// clientlimit.ConnLimiter. The response must be sent within RequestTimeout + ReadTimeout, if
// there is a RequestTimeout. A Stream has a timeout of its own. With TLSCert the server
// speaks TLS, and with TLSClientCA it demands a client certificate, unless that is optional.
func Listen(cfg Config, limit func(net.Listener) net.Listener, h http.Handler) (*Server, error) {
	clients := tls.RequireAndVerifyClientCert
	if cfg.ClientCertOptional {
		clients = tls.VerifyClientCertIfGiven
	}
	// HTTP/2 would need limits of its own, on streams and frames: ALPN offers HTTP/1.1 only.
	secure, err := cfg.ListenerConfig(cfg.Sources, clients, "http/1.1")
	if err != nil {
		return nil, err
	}
	listener, err := cfg.Sources.Listen("addr", cfg.Addr)
	if err != nil {
		return nil, err
	}
	listener = limit(listener)
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	s := &Server{listener: listener, drainTimeout: cfg.DrainTimeout}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.closing.Load() {
				w.Header().Set("Connection", "close")
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		ErrorLog:          logging.Library("net/http", slog.LevelWarn),
		ConnContext:       storeConn,

		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like any other
	}
	if cfg.RequestTimeout > 0 {
		s.http.WriteTimeout = cfg.RequestTimeout + cfg.ReadTimeout
	}
	return s, nil
}

// storeConn stores the TCP connection of a request in its context, also under TLS.
func storeConn(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// AnnounceClose is a lifecycle part for the first shutdown stage. When it is stopped,
// every response has Connection: close. Clients reconnect, and the load balancer sends
// them to another replica. No connection is in use when Run closes the idle ones.
func (s *Server) AnnounceClose(ctx context.Context) error {
	<-ctx.Done()
	s.closing.Store(true)
	return nil
}

// Addr returns the address of the listener, with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, and then stops gracefully: requests in flight have
// DrainTimeout to finish. It returns an error when it had to abort requests.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(s.drainTimeout, math.MaxInt64))
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return fmt.Errorf("requests on %s were cut off, still running %v after the stop", s.Addr(), s.drainTimeout)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
