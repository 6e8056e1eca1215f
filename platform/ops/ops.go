// Package ops is the port for those who run the service: whether it lives and
// is ready, its metrics and its profiles.
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
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/retry"
)

const (
	checkTimeout   = time.Second // bounds each check of /readyz
	mirrorInterval = time.Second // how late who follows readiness may be
)

// Config says where the port is, for whom, and whether it serves profiles, which
// show internals and cost time.
type Config struct {
	Addr         string   `config:"addr"`
	Pprof        bool     `config:"pprof"`
	MaxConns     int      `config:"max_conns"`     // connections at once, at least 1
	AllowedHosts []string `config:"allowed_hosts"` // served beside those that always are; see httpserver.Guard
}

// Defaults returns the settings of a port on addr. Its connections are few: those of
// probes, of Prometheus, and of an operator.
func Defaults(addr string) Config { return Config{Addr: addr, MaxConns: 64} }

const highestMaxConns = 10_000 // far more than probe a process

// Validate refuses an address that cannot be listened on, a port that nothing can connect
// to, and hosts that no request can have.
func (c Config) Validate() error {
	return errors.Join(
		config.CheckListenAddr("addr", c.Addr),
		config.CheckRange("max_conns", c.MaxConns, 1, highestMaxConns),
		httpserver.ValidateHosts("allowed_hosts", c.AllowedHosts),
	)
}

// Check is something without which the service is not ready. Func is called
// often and from several goroutines; it has a second. Its error is logged, never shown.
type Check struct {
	Name string
	Func func(context.Context) error
}

// Server is the bound ops port.
type Server struct {
	*httpserver.Server
	checks   []loggedCheck
	draining atomic.Bool
}

// loggedCheck logs when the outcome of its check changes, and not every probe.
type loggedCheck struct {
	Check
	outage *retry.Outage
}

// Listen binds cfg.Addr at once; Run serves /livez (200 while the process
// lives), /readyz (200 when all checks pass, else 503), /metrics and, if
// cfg.Pprof, /debug/pprof. The first two answer under any Host, so that no probe
// depends on a name; the others under those of httpserver.Guard. The connections
// count against no client's limit in conns.
func Listen(cfg Config, conns *clientlimit.ConnLimiter, log *slog.Logger, g prometheus.Gatherer, checks ...Check) (*Server, error) {
	s := &Server{}
	for _, c := range checks {
		s.checks = append(s.checks, loggedCheck{c, retry.NewOutage(log.With("check", c.Name), "readiness check fails", "readiness check passes again")})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeReport(w, http.StatusOK, report{Status: "alive"}) })
	mux.HandleFunc("GET /readyz", s.serveReadiness)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: logging.Library("prometheus", slog.LevelWarn),
	}))
	if cfg.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	bounds := httpserver.Defaults(cfg.Addr)
	bounds.RequestTimeout = 0 // a profile takes as long as it was asked to
	bounds.DrainTimeout = time.Second
	bounds.AllowedHosts = cfg.AllowedHosts
	srv, err := httpserver.Listen(bounds, conns.LimitTotal("ops", cfg.MaxConns), restrictAllButProbes(httpserver.Routes(mux), bounds))
	if err != nil {
		return nil, err
	}
	s.Server = srv
	return s, nil
}

// restrictAllButProbes lets probes pass whatever their Host is.
func restrictAllButProbes(routes http.Handler, cfg httpserver.Config) http.Handler {
	guarded := httpserver.RestrictHostsAndOrigins(routes, cfg)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez", "/readyz":
			routes.ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	})
}

// FailReadiness is the first stage to stop: /readyz turns 503, and for wait the rest of
// the process goes on, so that load balancers can look elsewhere.
func (s *Server) FailReadiness(wait time.Duration) lifecycle.Part {
	return lifecycle.Func(func(ctx context.Context) error {
		<-ctx.Done()
		s.draining.Store(true)
		<-time.After(wait)
		return nil
	})
}

// MirrorReadiness tells for as long as it runs, every second, whether the process is
// ready, for those who are asked elsewhere than at /readyz. Before it runs the
// process is not; nor is it, in the first stage to stop, from the stop on.
func (s *Server) MirrorReadiness(setReady func(ready bool)) lifecycle.Part {
	setReady(false)
	return lifecycle.Func(func(ctx context.Context) error {
		tick := time.NewTicker(mirrorInterval)
		defer tick.Stop()
		defer setReady(false)
		for {
			ready := true
			for _, err := range s.runChecks(ctx) {
				ready = ready && err == nil
			}
			if ctx.Err() != nil {
				return nil
			}
			setReady(ready)
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
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
	_ = json.NewEncoder(w).Encode(r) // a probe that left needs no answer
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

// runChecks runs all checks at once. One that does not return in time has failed.
func (s *Server) runChecks(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	returned := make([]chan error, len(s.checks))
	for i, c := range s.checks {
		returned[i] = make(chan error, 1)
		go func() { returned[i] <- c.run(ctx) }()
	}
	results := map[string]error{}
	for i, c := range s.checks {
		results[c.Name] = awaitResult(ctx, returned[i])
		if !errors.Is(ctx.Err(), context.Canceled) { // else the probe left, and nothing is known
			c.outage.Record(ctx, results[c.Name])
		}
	}
	return results
}

func awaitResult(ctx context.Context, returned <-chan error) error {
	select {
	case err := <-returned:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-returned: // it was in time, only its turn came late
		return err
	default:
		return ctx.Err()
	}
}

func (c Check) run(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return c.Func(ctx)
}
