// Package clientip resolves the IP address of a request's client behind trusted proxies,
// by the same rule for HTTP and gRPC.
package clientip

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"

	"example.com/todo/platform/clientlimit"
)

// Resolver resolves client addresses. Its zero value trusts no proxy.
type Resolver struct {
	trusted clientlimit.Networks
}

// New returns a Resolver that uses X-Forwarded-For of these proxies only.
func New(trusted []netip.Prefix) Resolver {
	return Resolver{trusted: clientlimit.NewNetworks(trusted)}
}

// FromHTTP returns the address of req's client, without port or zone. An IPv4 address
// that is mapped into IPv6 is returned as IPv4. If the connection has no IP address,
// the result is the zero Addr.
func (r Resolver) FromHTTP(req *http.Request) netip.Addr {
	return r.resolve(parseAddr(req.RemoteAddr), req.Header.Values("X-Forwarded-For"))
}

// FromGRPC is FromHTTP for a gRPC call: proxies write the metadata key x-forwarded-for.
func (r Resolver) FromGRPC(ctx context.Context) netip.Addr {
	from, ok := grpcpeer.FromContext(ctx)
	if !ok || from.Addr == nil {
		return netip.Addr{}
	}
	return r.resolve(parseAddr(from.Addr.String()), metadata.ValueFromIncomingContext(ctx, "x-forwarded-for"))
}

// resolve reads X-Forwarded-For from its end: while the address so far is a trusted
// proxy, the entry before it is the address that this proxy received from. A malformed
// entry ends the walk at the proxy that wrote it.
func (r Resolver) resolve(direct netip.Addr, forwarded []string) netip.Addr {
	client, list := direct, strings.Join(forwarded, ",")
	for list != "" && r.trusted.Contains(client) {
		cut := strings.LastIndexByte(list, ',')
		next := parseAddr(list[cut+1:])
		if !next.IsValid() {
			break
		}
		client, list = next, list[:max(cut, 0)]
	}
	return client
}

// parseAddr parses "ip", "[ip]", "ip:port" or "[ip]:port". Anything else returns the
// zero Addr.
func parseAddr(s string) netip.Addr {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s += ":0" // netip parses brackets only before a port
	}
	if with, err := netip.ParseAddrPort(s); err == nil {
		return normalize(with.Addr())
	}
	addr, _ := netip.ParseAddr(s)
	return normalize(addr)
}

func normalize(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
