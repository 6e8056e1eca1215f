package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/config"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/tlsconfig"
)

const (
	// probeTimeout has room for a server that reads a new certificate (1 s) and for its checks (1 s). It is below
	// the 3 s that the images give their health check.
	probeTimeout  = 2500 * time.Millisecond
	probeInterval = 100 * time.Millisecond // between two requests to a server with another certificate
)

// probedPort has the settings of the port that a probe needs.
type probedPort struct {
	Addr    string         `config:"addr"`
	TLSCert string         `config:"tls_cert"`
	Sources config.Sources // for errors
}

// Validate returns an error for an address that cannot be listened on.
func (c probedPort) Validate() error { return config.CheckListenAddr("addr", c.Addr) }

type probeConfig struct {
	Ops    probedPort `config:"ops"`
	Others struct{}   `config:"*"`
}

// AddHealthcheck adds the command healthcheck, which calls Probe, to a program that listens on addr by default. It reads
// only the settings that it needs, so a damaged file of another one does not make a running service unhealthy.
func AddHealthcheck[C any](p *command.Program[C], addr string) {
	load := func(file string, environ []string) (cfg probeConfig, err error) {
		cfg.Ops.Addr = addr
		err = config.Load(&cfg, file, environ)
		return cfg, err
	}
	command.AddLoading(p, "healthcheck", "Ask the running service whether it is ready", load, func(ctx context.Context, cfg probeConfig) error {
		return Probe(ctx, Config{Addr: cfg.Ops.Addr, ServerFiles: tlsconfig.ServerFiles{TLSCert: cfg.Ops.TLSCert}, Sources: cfg.Ops.Sources})
	})
}

// Probe requests /readyz from a running process on cfg.Addr, for the health check of a
// container. It returns nil when the status is 200. An address without a host stands for
// localhost. With cfg.TLSCert it speaks TLS and accepts exactly that certificate; while the
// process has another one, Probe repeats the request for up to 2.5 s. It needs no other setting.
func Probe(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var mismatch error
	for {
		err := requestReadiness(ctx, cfg)
		if mismatch != nil && ctx.Err() != nil {
			return mismatch // says more than the deadline
		}
		if !errors.As(err, new(*tlsconfig.Error)) {
			return err
		}
		mismatch = err
		if !retry.Wait(ctx, probeInterval) {
			return mismatch
		}
	}
}

func requestReadiness(ctx context.Context, cfg Config) error {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return err
	}
	transport, scheme := &http.Transport{DisableKeepAlives: true}, "http"
	if cfg.TLSCert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = cfg.PinnedClient(cfg.Sources); err != nil {
			return err
		}
	}
	url := scheme + "://" + net.JoinHostPort(cmp.Or(host, "localhost"), port) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer from the ops port: %w: does the service run, and with the same %s?", err, cfg.Sources.Name("addr"))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("not ready: %s: %s", resp.Status, body)
	}
	return nil
}
