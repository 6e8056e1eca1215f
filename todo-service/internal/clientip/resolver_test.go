package clientip_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"

	"example.com/todo/todo-service/internal/clientip"
)

var trusted = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("fd00::/8"),
	netip.MustParsePrefix("::ffff:192.168.0.0/112"),
}

func TestResolverReturnsTheLastAddressThatIsNoTrustedProxy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		remote    string
		forwarded []string
		want      string
	}{
		{name: "direct", remote: "203.0.113.7:4242", want: "203.0.113.7"},
		{name: "direct over IPv6", remote: "[2001:db8::1]:4242", want: "2001:db8::1"},
		{name: "the zone is dropped", remote: "[fe80::1%eth0]:4242", want: "fe80::1"},
		{name: "mapped IPv4 is IPv4", remote: "[::ffff:203.0.113.7]:4242", want: "203.0.113.7"},
		{name: "an untrusted peer's header is ignored", remote: "203.0.113.7:1", forwarded: []string{"1.1.1.1"}, want: "203.0.113.7"},
		{name: "a trusted proxy's header is used", remote: "10.1.2.3:1", forwarded: []string{"1.1.1.1"}, want: "1.1.1.1"},
		{name: "a proxy in mapped form is the same proxy", remote: "[::ffff:10.1.2.3]:1", forwarded: []string{"1.1.1.1"}, want: "1.1.1.1"},
		{name: "a prefix in mapped form means IPv4", remote: "192.168.7.7:1", forwarded: []string{"1.1.1.1"}, want: "1.1.1.1"},
		{name: "a proxy over IPv6", remote: "[fd00::9]:1", forwarded: []string{"2001:db8::5"}, want: "2001:db8::5"},
		{name: "an entry that the client wrote itself is ignored", remote: "10.1.2.3:1", forwarded: []string{"6.6.6.6, 1.1.1.1"}, want: "1.1.1.1"},
		{name: "trusted proxies are skipped from the right", remote: "10.1.2.3:1", forwarded: []string{"6.6.6.6, 1.1.1.1, 10.9.9.9 ,10.8.8.8"}, want: "1.1.1.1"},
		{name: "several header lines are one list", remote: "10.1.2.3:1", forwarded: []string{"6.6.6.6", "1.1.1.1", "10.9.9.9"}, want: "1.1.1.1"},
		{name: "trusted proxies alone: the first of them", remote: "10.1.2.3:1", forwarded: []string{"10.7.7.7, 10.9.9.9"}, want: "10.7.7.7"},
		{name: "a malformed entry ends the walk", remote: "10.1.2.3:1", forwarded: []string{"1.1.1.1, unknown, 10.9.9.9"}, want: "10.9.9.9"},
		{name: "a malformed entry alone", remote: "10.1.2.3:1", forwarded: []string{"_hidden"}, want: "10.1.2.3"},
		{name: "an empty entry is malformed", remote: "10.1.2.3:1", forwarded: []string{"1.1.1.1,"}, want: "10.1.2.3"},
		{name: "an empty header", remote: "10.1.2.3:1", forwarded: []string{""}, want: "10.1.2.3"},
		{name: "a proxy that writes ports", remote: "10.1.2.3:1", forwarded: []string{"1.1.1.1:999"}, want: "1.1.1.1"},
		{name: "a proxy that writes brackets", remote: "10.1.2.3:1", forwarded: []string{"[2001:db8::5]"}, want: "2001:db8::5"},
		{name: "brackets and a port", remote: "10.1.2.3:1", forwarded: []string{"[2001:db8::5]:999"}, want: "2001:db8::5"},
		{name: "an open bracket is malformed", remote: "10.1.2.3:1", forwarded: []string{"[2001:db8::5"}, want: "10.1.2.3"},
		{name: "IPv4 in brackets is malformed", remote: "10.1.2.3:1", forwarded: []string{"[1.1.1.1]"}, want: "10.1.2.3"},
		{name: "mapped in the header", remote: "10.1.2.3:1", forwarded: []string{"::ffff:1.1.1.1"}, want: "1.1.1.1"},
		{name: "no address", remote: "@", want: "invalid IP"},
	}
	resolver := clientip.New(trusted)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			if got := resolver.FromHTTP(request).String(); got != test.want {
				t.Errorf("over HTTP %s, want %s", got, test.want)
			}
			if got := resolver.FromGRPC(call(test.remote, test.forwarded)).String(); got != test.want {
				t.Errorf("over gRPC %s, want %s", got, test.want)
			}
		})
	}
}

func TestResolverWithoutTrustedProxiesIgnoresTheHeader(t *testing.T) {
	t.Parallel()
	request := &http.Request{RemoteAddr: "10.1.2.3:1", Header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}}
	for name, resolver := range map[string]clientip.Resolver{"zero value": {}, "empty list": clientip.New(nil)} {
		if got := resolver.FromHTTP(request).String(); got != "10.1.2.3" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestResolverReturnsNoAddressForACallWithoutAnIPPeer(t *testing.T) {
	t.Parallel()
	resolver := clientip.New(trusted)
	for name, ctx := range map[string]context.Context{
		"no peer":    t.Context(),
		"no address": grpcpeer.NewContext(t.Context(), &grpcpeer.Peer{}),
		"a socket":   grpcpeer.NewContext(t.Context(), &grpcpeer.Peer{Addr: &net.UnixAddr{Name: "@", Net: "unix"}}),
	} {
		if got := resolver.FromGRPC(ctx); got.IsValid() {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// FuzzForwardedFor checks that a client cannot choose its own rate limit bucket: an
// untrusted peer is the client itself, and behind a proxy the address is normalized.
func FuzzForwardedFor(f *testing.F) {
	f.Add("1.1.1.1, 10.9.9.9")
	f.Add("[2001:db8::5]:999,,::ffff:1.1.1.1%eth0")
	f.Add(strings.Repeat(",", 100))
	resolver := clientip.New(trusted)
	f.Fuzz(func(t *testing.T, forwarded string) {
		header := http.Header{"X-Forwarded-For": {forwarded}}
		direct := resolver.FromHTTP(&http.Request{RemoteAddr: "203.0.113.7:1", Header: header})
		if direct.String() != "203.0.113.7" {
			t.Errorf("an untrusted peer became %s", direct)
		}
		honest := http.Header{"X-Forwarded-For": {forwarded + ", 198.51.100.4"}}
		behind := resolver.FromHTTP(&http.Request{RemoteAddr: "10.1.2.3:1", Header: honest})
		if behind.String() != "198.51.100.4" {
			t.Errorf("a client behind a proxy became %s", behind)
		}
		plain := resolver.FromHTTP(&http.Request{RemoteAddr: "10.1.2.3:1", Header: header})
		if !plain.IsValid() || plain.Is4In6() || plain.Zone() != "" {
			t.Errorf("%q gave %s", forwarded, plain)
		}
	})
}

// FuzzRemote checks addresses of connections of any kind of network.
func FuzzRemote(f *testing.F) {
	for _, remote := range []string{"203.0.113.7:1", "[fe80::1%eth0]:80", "@", "", "[::ffff:10.0.0.1]:x", "1.2.3.4:65536"} {
		f.Add(remote)
	}
	resolver := clientip.New(trusted)
	f.Fuzz(func(t *testing.T, remote string) {
		got := resolver.FromHTTP(&http.Request{RemoteAddr: remote})
		if got.Is4In6() || got.Zone() != "" || got != resolver.FromGRPC(call(remote, nil)) {
			t.Errorf("%q gave %s", remote, got)
		}
	})
}

func call(remote string, forwarded []string) context.Context {
	ctx := grpcpeer.NewContext(context.Background(), &grpcpeer.Peer{Addr: address(remote)})
	return metadata.NewIncomingContext(ctx, metadata.MD{"x-forwarded-for": forwarded})
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }
