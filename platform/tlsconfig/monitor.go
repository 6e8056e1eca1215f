package tlsconfig

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/config"
	"example.com/todo/platform/retry"
)

// Endpoint is a listener or a client for a Monitor: its files, or its addresses without TLS.
type Endpoint struct {
	section   string // of the settings
	files     fileSet
	plaintext []string // the servers that it connects to without TLS
	setting   string   // that would switch TLS on
}

// TLSEndpoint describes the listener in that section of the settings.
func (f ServerFiles) TLSEndpoint(section string) Endpoint {
	return Endpoint{section: section, files: f.files()}
}

// ClientEndpoint describes a client of the servers at addrs (host:port, a URL, or the path of a Unix socket).
func (f ClientFiles) ClientEndpoint(sources config.Sources, addrs ...string) Endpoint {
	if !f.TLS {
		return PlaintextEndpoint(sources.Section, join(sources.Section, "tls"), addrs...)
	}
	return Endpoint{section: sources.Section, files: f.files()}
}

// PlaintextEndpoint describes a client without TLS. setting is what would switch TLS on.
func PlaintextEndpoint(section, setting string, addrs ...string) Endpoint {
	return Endpoint{section: section, plaintext: addrs, setting: setting}
}

func join(section, key string) string { return strings.TrimPrefix(section+"."+key, ".") }

const (
	monitorInterval = time.Minute
	soon            = 14 * 24 * time.Hour // before a certificate expires there is a warning
)

// Monitor reports certificates that expire and files that cannot be used, by metrics and warnings.
type Monitor struct {
	log      *slog.Logger
	expiry   *prometheus.GaugeVec
	reloaded *prometheus.GaugeVec
	watched  []*watchedFiles
}

// NewMonitor checks the endpoints' files once, and logs one warning about each endpoint that connects to another machine
// without TLS. reg gets tls_certificate_expiry_timestamp_seconds and tls_last_reload_successful.
func NewMonitor(log *slog.Logger, reg prometheus.Registerer, endpoints ...Endpoint) *Monitor {
	metrics := promauto.With(reg)
	m := &Monitor{
		log: log,
		expiry: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tls_certificate_expiry_timestamp_seconds",
			Help: "Unix time at which a certificate expires: the first of a certificate file, the last of a CA file.",
		}, []string{"section", "file"}),
		reloaded: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tls_last_reload_successful",
			Help: "1 while the certificate files of a section can be used, 0 while those read before stay in use.",
		}, []string{"section"}),
	}
	for _, endpoint := range endpoints {
		if remote := slices.DeleteFunc(slices.Clone(endpoint.plaintext), isLocal); len(remote) > 0 {
			log.Warn("tls: connections to another machine are in plain text", "section", endpoint.section, "addr", strings.Join(remote, ","), "setting", endpoint.setting)
		}
		if endpoint.files.cert.path != "" || endpoint.files.ca.path != "" {
			m.watched = append(m.watched, &watchedFiles{section: endpoint.section, files: reloader{files: endpoint.files},
				outage: retry.NewOutage(log.With("section", endpoint.section),
					"tls: the certificate files cannot be used, those read before stay in use", "tls: the certificate files can be used again")})
		}
	}
	m.check(context.Background())
	return m
}

// Run checks the files every minute until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	for retry.Wait(ctx, monitorInterval) {
		m.check(ctx)
	}
	return nil
}

// watchedFiles are the files of one endpoint.
type watchedFiles struct {
	section string
	files   reloader
	outage  *retry.Outage
	current *material
	warned  map[string]bool // by text, about the current material
}

func (m *Monitor) check(ctx context.Context) {
	for _, w := range m.watched {
		latest, err := w.files.latest()
		w.outage.Record(ctx, err)
		successful := 1.0
		if err != nil {
			successful = 0
		}
		m.reloaded.WithLabelValues(w.section).Set(successful)
		if latest == nil {
			continue
		}
		if w.current != latest {
			if w.current != nil {
				m.log.InfoContext(ctx, "tls: new certificate files are in use", "section", w.section)
			}
			w.current, w.warned = latest, map[string]bool{}
		}
		if len(latest.chain) > 0 {
			m.reportExpiry(ctx, w, w.files.files.cert.key, slices.MinFunc(latest.chain, byExpiry))
		}
		if len(latest.rootList) > 0 {
			// A bundle may keep an old CA beside its successor.
			m.reportExpiry(ctx, w, w.files.files.ca.key, slices.MaxFunc(latest.rootList, byExpiry))
		}
	}
}

func byExpiry(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }

// reportExpiry sets the metric, and logs one warning for each file and state.
func (m *Monitor) reportExpiry(ctx context.Context, w *watchedFiles, file string, certificate *x509.Certificate) {
	m.expiry.WithLabelValues(w.section, file).Set(float64(certificate.NotAfter.Unix()))
	var text string
	switch left := time.Until(certificate.NotAfter); {
	case left <= 0:
		text = "tls: a certificate has expired"
	case left <= soon:
		text = "tls: a certificate expires soon"
	default:
		return
	}
	if !w.warned[file+text] {
		w.warned[file+text] = true
		m.log.WarnContext(ctx, text, "setting", join(w.section, file), "expires", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
}

// isLocal reports whether an address is one of this machine.
func isLocal(addr string) bool {
	if filepath.IsAbs(addr) || strings.HasPrefix(addr, "@") { // a Unix socket
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
