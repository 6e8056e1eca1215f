// Package clientip tells which client a request came from, by the same rule for
// HTTP and gRPC.
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

// Resolver finds client addresses. Its zero value trusts no proxy.
type Resolver struct {
	trusted clientlimit.Networks
}

// New returns a Resolver that believes X-Forwarded-For from these proxies, and
// from nobody else.
func New(trusted []netip.Prefix) Resolver {
	return Resolver{trusted: clientlimit.NewNetworks(trusted)}
}

// FromHTTP returns the address of the client behind req: without port or zone,
// and IPv4 even where it was mapped into IPv6. It is the zero Addr when the
// connection has no IP address.
func (r Resolver) FromHTTP(req *http.Request) netip.Addr {
	return r.resolve(parseAddr(req.RemoteAddr), req.Header.Values("X-Forwarded-For"))
}

// FromGRPC is FromHTTP for a call: the proxies' word is the metadata key
// x-forwarded-for.
func (r Resolver) FromGRPC(ctx context.Context) netip.Addr {
	from, ok := grpcpeer.FromContext(ctx)
	if !ok || from.Addr == nil {
		return netip.Addr{}
	}
	return r.resolve(parseAddr(from.Addr.String()), metadata.ValueFromIncomingContext(ctx, "x-forwarded-for"))
}

// resolve walks from the direct peer towards the client, each trusted proxy
// vouching for the address it wrote down. An entry that is no address ends the
// walk at the proxy that passed it on.
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

// parseAddr reads "ip", "[ip]", "ip:port" or "[ip]:port". What is none of these
// gives the zero Addr.
func parseAddr(s string) netip.Addr {
	s = strings.TrimSpace(s)
	if with, err := netip.ParseAddrPort(s); err == nil {
		return normalize(with.Addr())
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(s, ":") {
			return netip.Addr{}
		}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return normalize(addr)
}

func normalize(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
