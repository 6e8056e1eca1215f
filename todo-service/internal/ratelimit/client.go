package ratelimit

import (
	"net/netip"

	"example.com/todo/platform/clientlimit"
)

// Client is what the limits of one client count: a signed-in user or, without sign-in, an
// address. Clients are compared by ==.
type Client struct {
	user    int64
	address netip.Prefix
}

// NewClient returns the client of a request: the user or, with user 0, the IPv4 address or
// IPv6 /64 of addr. All invalid addresses are one client.
func NewClient(user int64, addr netip.Addr) Client {
	if user != 0 {
		return Client{user: user}
	}
	return Client{address: clientlimit.ClientPrefix(addr)}
}
