package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Addresses are taken below the range from which systems take the ports of
// connections and of listeners that want any: nobody gets one of them by chance.
const (
	firstPort = 10000
	portPairs = 900
	maxTries  = 1000
)

// FreeAddr returns an address of 127.0.0.1 on which nothing listens, and which no
// other test gets, of this process or another, before t ends: the port below it
// is held as the sign of that.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range maxTries {
		port := firstPort + 2*rand.IntN(portPairs)
		sign, err := listen(t, port)
		if err != nil {
			continue
		}
		listener, err := listen(t, port+1)
		if err != nil {
			_ = sign.Close()
			continue
		}
		_ = listener.Close()
		t.Cleanup(func() { _ = sign.Close() })
		return listener.Addr().String()
	}
	t.Fatalf("no free port from %d to %d", firstPort, firstPort+2*portPairs-1)
	return ""
}

func listen(t testing.TB, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
