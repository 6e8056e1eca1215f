package httpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"example.com/todo/platform/config"
)

// preflightMaxAge is for how long a browser may remember the answer to a preflight
// request. Browsers cap it at two hours or less.
const preflightMaxAge = 10 * time.Minute

// The methods and headers of cross-origin requests, and what their pages may read
// of the answers. Safelisted ones need not be named.
var (
	corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	corsHeaders = []string{"Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "Traceparent", requestIDHeader}
	corsExposed = []string{"Allow", "ETag", "Link", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Cache-Status", requestIDHeader}
)

// RestrictHostsAndOrigins wraps h with the policy for hosts and origins. A request whose Host is not
// served here is answered 421. Pages of cfg.CORSOrigins may read the answers, and
// their preflight requests are answered here.
//
// A Host is served when it is an IP address, localhost, a name below localhost, a
// name without a dot, a name below svc or svc.cluster.local, or one of
// cfg.AllowedHosts. A port, one trailing dot and upper case make no difference.
func RestrictHostsAndOrigins(h http.Handler, cfg Config) http.Handler {
	// The owner of a domain can let its name point at this server, and so give a
	// page this server's own origin. Names that are always served have no owner.
	allowed := make([]string, len(cfg.AllowedHosts))
	for i, name := range cfg.AllowedHosts {
		allowed[i] = canonicalHost(name)
	}
	// The library takes an empty list for all origins.
	if len(cfg.CORSOrigins) > 0 {
		h = cors.New(cors.Options{
			AllowedOrigins: cfg.CORSOrigins,
			AllowedMethods: corsMethods,
			AllowedHeaders: corsHeaders,
			ExposedHeaders: corsExposed,
			MaxAge:         int(preflightMaxAge / time.Second),
		}).Handler(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.User != nil || !isServedHost(r.Host, allowed) {
			refused := StatusError(http.StatusMisdirectedRequest, "this server does not answer for the host of the request; use a name or an address that it is known by")
			WriteProblem(w, r, fmt.Errorf("host %q is not served; list it in the setting allowed_hosts of this server if it should be: %w", r.Host, refused))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isServedHost reports whether a request for host, which may have a port, is answered.
func isServedHost(host string, allowed []string) bool {
	name, ok := trimPort(host)
	if !ok {
		return false
	}
	if literal, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		return err == nil && addr.Is6()
	}
	name = canonicalHost(name)
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Is4()
	}
	if !isHostName(name) {
		return false
	}
	return !strings.Contains(name, ".") ||
		strings.HasSuffix(name, ".localhost") ||
		strings.HasSuffix(name, ".svc") ||
		strings.HasSuffix(name, ".svc.cluster.local") ||
		slices.Contains(allowed, name)
}

// trimPort returns host without its port, which consists of digits. It is not
// ok when a bracket is not closed where the name ends, or never opened.
func trimPort(host string) (name string, ok bool) {
	name, port := host, ""
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		name, port = host[:colon], host[colon+1:]
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	return name, strings.HasPrefix(name, "[") == strings.HasSuffix(name, "]")
}

// canonicalHost returns name in lower case and without one trailing dot.
func canonicalHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isHostName reports whether name is labels of ASCII letters, digits, hyphens and
// underscores (which containers' names have), with dots between them.
func isHostName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// ValidateHosts refuses what is no host name or address in the setting key, a list
// of hosts to serve.
func ValidateHosts(key string, hosts []string) error {
	for _, host := range hosts {
		if config.CheckServerAddrs(key, net.JoinHostPort(host, "1")) != nil {
			return config.Invalid(key, "%q must be a host name without scheme, port or *, such as todo.example.com", host)
		}
	}
	return nil
}

// validateOrigins refuses what no browser sends as an Origin, and lists of which a
// part has no effect.
func validateOrigins(origins []string) error {
	for _, origin := range origins {
		if origin == "*" && len(origins) == 1 {
			continue
		}
		u, err := url.Parse(strings.ToLower(origin))
		if err != nil || config.CheckURL("cors_origins", origin, "http", "https") != nil || u.Scheme+"://"+u.Host != strings.ToLower(origin) {
			return config.Invalid("cors_origins", "%q must be an origin, such as https://app.example.com: scheme, host and port only; or * alone, for all", origin)
		}
		if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
			return config.Invalid("cors_origins", "%q must not have the port %s, which browsers leave out of an origin of %s", origin, u.Port(), u.Scheme)
		}
	}
	return nil
}
