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

// preflightMaxAge is the time for which a browser may cache the response to a preflight
// request. Browsers limit it to two hours or less.
const preflightMaxAge = 10 * time.Minute

// The methods and headers of cross-origin requests, and the response headers that their
// pages may read. Those on the safelist of CORS need not be listed.
var (
	corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	corsHeaders = []string{"Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "Traceparent", requestIDHeader}
	corsExposed = []string{"Allow", "ETag", "Link", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Cache-Status", requestIDHeader}
)

// RestrictHostsAndOrigins returns h behind a Host allow-list, against DNS rebinding, and
// CORS. A request for another Host is answered 421. Pages of CORSOrigins may read the
// responses; their preflight requests are answered here.
//
// A Host is allowed when it is an IP address, localhost, a name below localhost, a name
// without a dot, a name below svc or svc.cluster.local, or one of AllowedHosts. The port,
// the case and one trailing dot are ignored.
func (c Config) RestrictHostsAndOrigins(h http.Handler) http.Handler {
	// DNS rebinding: the owner of a domain points its name at this server, and pages of that
	// domain then have the same origin as this server. The names that are always allowed
	// cannot be registered.
	allowed := make([]string, len(c.AllowedHosts))
	for i, name := range c.AllowedHosts {
		allowed[i] = canonicalHost(name)
	}
	// For the library an empty list means all origins.
	if len(c.CORSOrigins) > 0 {
		headers := corsHeaders
		if c.AllowCredentials {
			headers = append(slices.Clone(corsHeaders), "Authorization")
		}
		h = cors.New(cors.Options{
			AllowedOrigins:   c.CORSOrigins,
			AllowedMethods:   corsMethods,
			AllowedHeaders:   headers,
			AllowCredentials: c.AllowCredentials,
			ExposedHeaders:   corsExposed,
			MaxAge:           int(preflightMaxAge / time.Second),
		}).Handler(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.User != nil || !isServedHost(r.Host, allowed) {
			misdirected := StatusError(http.StatusMisdirectedRequest, "this server does not answer for the host of the request; use a name or an address that it is known by")
			WriteProblem(w, r, fmt.Errorf("host %q is not served; list it in the setting allowed_hosts of this server if it should be: %w", r.Host, misdirected))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isServedHost reports whether the policy allows host, which may have a port.
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

// trimPort returns host without its port. It returns false when the port is not made of
// digits or the brackets of an IPv6 address do not match.
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

// canonicalHost returns name in lower case, without one trailing dot.
func canonicalHost(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isHostName reports whether name consists of labels of letters, digits, hyphens and
// underscores, which names of containers have, separated by dots.
func isHostName(name string) bool {
	return name != "" && name[0] != '.' && !strings.Contains(name, "..") &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// validateHosts returns an error for an entry that is neither a host name nor an address.
func validateHosts(hosts []string) error {
	const key = "allowed_hosts"
	for _, host := range hosts {
		if config.CheckServerAddrs(key, net.JoinHostPort(host, "1")) != nil {
			return config.Invalid(key, "%q must be a host name without scheme, port or *, such as todo.example.com", host)
		}
	}
	return nil
}

// validateOrigins returns an error for an entry that no browser sends as an Origin, and
// for * beside others.
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
