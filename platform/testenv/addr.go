package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports are below the range of ephemeral ports, so that the system assigns none of them to a connection.
const (
	firstPort = 10000
	portPairs = 900
	maxTries  = 1000
)

// FreeAddr returns an address of 127.0.0.1 on which no server listens. No other test of any process gets it before
// t ends.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range maxTries {
		// A listener on the even port reserves the odd port above it.
		port := firstPort + 2*rand.IntN(portPairs)
		reservation, err := listen(t, port)
		if err != nil {
			continue
		}
		listener, err := listen(t, port+1)
		if err != nil {
			_ = reservation.Close()
			continue
		}
		_ = listener.Close()
		t.Cleanup(func() { _ = reservation.Close() })
		return listener.Addr().String()
	}
	t.Fatalf("no free port from %d to %d", firstPort, firstPort+2*portPairs-1)
	return ""
}

func listen(t testing.TB, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
