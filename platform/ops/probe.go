package ops

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Probe requests /readyz from a running process on cfg.Addr, for the health check of a
// container. It returns nil when the status is 200. An address without a host stands for
// localhost. With cfg.TLSCert it speaks TLS and accepts exactly that certificate.
func Probe(ctx context.Context, cfg Config) error {
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
