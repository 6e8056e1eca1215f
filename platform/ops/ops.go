// Package ops implements the admin port of a service: liveness and readiness probes,
// Prometheus metrics, and pprof profiles.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/tlsconfig"
)

const (
	checkTimeout   = time.Second                         // for all readiness checks together, which run concurrently
	checkBudget    = checkTimeout - 100*time.Millisecond // for their waits: the error of a check that gives up says more than ours
	drainTimeout   = 2 * time.Second                     // above checkTimeout, because probe and scrape wait for the checks
	mirrorInterval = time.Second                         // the maximal age of a mirrored readiness
)

// Config is the configuration of the port. Profiles show internals and cost CPU time.
type Config struct {
	Addr         string   `config:"addr"`
	Pprof        bool     `config:"pprof"`
	MaxConns     int      `config:"max_conns"`     // concurrent connections, at least 1
	AllowedHosts []string `config:"allowed_hosts"` // see httpserver.Config.RestrictHostsAndOrigins

	tlsconfig.ServerFiles // TLSClientCA is for all paths but the probes

	Sources config.Sources // for errors
}

// Defaults returns the settings for a port on addr. 64 connections are enough for probes,
// Prometheus and an operator.
func Defaults(addr string) Config { return Config{Addr: addr, MaxConns: 64} }

const highestMaxConns = 10_000 // a higher value is a mistake: no process has so many probes

// Validate returns an error for an address that cannot be listened on, a number of
// connections outside 1 to 10,000, hosts that no request can have, or TLS files that cannot
// be used.
func (c Config) Validate() error {
	return errors.Join(c.server().Validate(), config.CheckRange("max_conns", c.MaxConns, 1, highestMaxConns))
}

func (c Config) server() httpserver.Config {
	cfg := httpserver.Defaults(c.Addr)
	cfg.RequestTimeout = 0 // the client chooses the duration of a profile
	cfg.DrainTimeout = drainTimeout
	cfg.AllowedHosts = c.AllowedHosts
	cfg.ServerFiles, cfg.ClientCertOptional = c.ServerFiles, true
	cfg.Sources = c.Sources
	return cfg
}

// Check is a readiness check. Func is called often and concurrently; after 1 s its context
// ends and the check has failed. Its error is logged and never sent to a client.
type Check struct {
	Name string // unique; shown by /readyz
	Func func(context.Context) error

	outage *retry.Outage // logs each change of the result, and not each probe
}

// Server is the admin port, bound by Listen and served by Run.
type Server struct {
	*httpserver.Server
	checks   []Check
	draining atomic.Bool
}

// Listen binds cfg.Addr. Run then serves
//
//	/livez         200 while the process runs                    under any Host
//	/readyz        200 when all checks pass, else 503            under any Host
//	/metrics       the metrics of registry                       under a Host that is allowed
//	/debug/pprof/  profiles, if cfg.Pprof                        under a Host that is allowed
//
// With cfg.TLSClientCA the last two are answered 403 unless the client has a certificate.
// It adds the gauge service_ready to registry: 1 while /readyz answers 200, else 0. The connections have the
// limit cfg.MaxConns and do not count for a client in conns.
func Listen(cfg Config, conns *clientlimit.ConnLimiter, log *slog.Logger, registry *prometheus.Registry, checks ...Check) (*Server, error) {
	s := &Server{}
	for _, c := range checks {
		c.outage = retry.NewOutage(log.With("check", c.Name), "ops: readiness check fails, /readyz answers 503", "ops: readiness check passes again")
		s.checks = append(s.checks, c)
	}
	promauto.With(registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "service_ready", Help: "1 while /readyz answers 200, else 0.",
	}, s.readiness)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeReport(w, http.StatusOK, report{Status: "alive"}) })
	mux.HandleFunc("GET /readyz", s.serveReadiness)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: logging.Library("prometheus", slog.LevelWarn),
	}))
	if cfg.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	var err error
	s.Server, err = httpserver.Listen(cfg.server(), conns.LimitTotal("ops", cfg.MaxConns), restrictAllButProbes(httpserver.Routes(mux), cfg.server()))
	return s, err
}

// restrictAllButProbes applies the host policy, and the demand for a client certificate, to
// all paths except the probes, which often use an arbitrary Host and have no certificate.
func restrictAllButProbes(routes http.Handler, cfg httpserver.Config) http.Handler {
	restricted := cfg.RestrictHostsAndOrigins(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez", "/readyz":
			routes.ServeHTTP(w, r)
		default:
			if cfg.TLSClientCA != "" && !tlsconfig.HasClientCertificate(r.TLS) {
				http.Error(w, "a client certificate is required here", http.StatusForbidden)
				return
			}
			restricted.ServeHTTP(w, r)
		}
	})
}

// FailReadiness returns a lifecycle part for the first shutdown stage. When it is stopped,
// /readyz answers 503, and it returns after wait, so that load balancers notice before the
// next stage stops.
func (s *Server) FailReadiness(wait time.Duration) lifecycle.Part {
	return lifecycle.Func(func(ctx context.Context) error {
		<-ctx.Done()
		s.draining.Store(true)
		<-time.After(wait)
		return nil
	})
}

// MirrorReadiness returns a lifecycle part for the first shutdown stage that copies
// readiness to another health service. While it runs it calls setReady every second with
// the result of the checks; before that, and when it is stopped, with false.
func (s *Server) MirrorReadiness(setReady func(ready bool)) lifecycle.Part {
	setReady(false)
	return lifecycle.Func(func(ctx context.Context) error {
		defer setReady(false)
		tick := time.Tick(mirrorInterval)
		for {
			setReady(s.allPass(ctx) && ctx.Err() == nil)
			select {
			case <-ctx.Done():
				return nil
			case <-tick:
			}
		}
	})
}

type report struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

func writeReport(w http.ResponseWriter, code int, r report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(r) // fails when the client has disconnected
}

func (s *Server) serveReadiness(w http.ResponseWriter, r *http.Request) {
	result, code := report{Status: "ready", Checks: map[string]string{}}, http.StatusOK
	for name, err := range s.runChecks(r.Context()) {
		result.Checks[name] = "ok"
		if err != nil {
			result.Checks[name], result.Status, code = "failing", "not ready", http.StatusServiceUnavailable
		}
	}
	if s.draining.Load() {
		result.Status, code = "draining", http.StatusServiceUnavailable
	}
	writeReport(w, code, result)
}

// readiness is the value of service_ready.
func (s *Server) readiness() float64 {
	if s.draining.Load() || !s.allPass(context.Background()) {
		return 0
	}
	return 1
}

// allPass runs the checks and reports whether none failed.
func (s *Server) allPass(ctx context.Context) bool {
	for _, err := range s.runChecks(ctx) {
		if err != nil {
			return false
		}
	}
	return true
}

// errHanging is the result of a check that does not return in time.
var errHanging = fmt.Errorf("the check did not return within %v", checkTimeout)

// runChecks runs all checks concurrently and returns their results by name. A check that
// panics or does not return within checkTimeout has failed. Its context ends a little earlier.
func (s *Server) runChecks(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	checkCtx, cancelChecks := context.WithTimeout(ctx, checkBudget)
	defer cancelChecks()
	type result struct {
		name string
		err  error
	}
	returned := make(chan result, len(s.checks))
	results := map[string]error{}
	for _, c := range s.checks {
		results[c.Name] = errHanging // unless it returns
		go func() {
			r := result{name: c.Name}
			defer func() {
				if v := recover(); v != nil {
					r.err = fmt.Errorf("panic: %v", v)
				}
				returned <- r
			}()
			r.err = c.Func(checkCtx)
		}()
	}
	for range s.checks {
		select {
		case r := <-returned:
			results[r.name] = r.err
			continue
		case <-ctx.Done():
		}
		// A process that was frozen finds both. What has returned counts.
		select {
		case r := <-returned:
			results[r.name] = r.err
		default:
		}
	}
	// When the client of the probe disconnects, its checks fail for no reason of theirs.
	if !errors.Is(ctx.Err(), context.Canceled) {
		for _, c := range s.checks {
			c.outage.Record(ctx, results[c.Name])
		}
	}
	return results
}
