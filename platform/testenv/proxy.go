package testenv

import (
	"testing"

	"example.com/todo/platform/testenv/netproxy"
)

// StartProxy starts a fault proxy to the server at target, until the test ends.
func StartProxy(t testing.TB, target string) *netproxy.Proxy {
	t.Helper()
	proxy, err := netproxy.Listen(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	return proxy
}
