// Package testenv is the test environment: addresses of real servers, free ports, fault proxies, polling, leak
// detection, and golden files of library settings.
package testenv

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/todo/platform/testenv/netproxy"
)

// RequireEnv returns the environment variable name, the address or the program of a real server. If it is not set,
// the test is skipped, or fails under CI=true, where a skip would hide that nothing was tested.
func RequireEnv(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	switch {
	case value != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set, and under CI=true a skipped test is a failure", name)
	default:
		t.Skipf("%s is not set: start the servers with scripts/devstack to run this test", name)
	}
	return value
}

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

const eventuallyTimeout = 40 * time.Second

// Eventually fails the test unless the condition becomes true within 40 s. It polls every 10 ms. what is the
// condition in words.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	EventuallyWithin(t, eventuallyTimeout, what, condition)
}

// EventuallyWithin is Eventually with another timeout.
func EventuallyWithin(t testing.TB, timeout time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v", what, timeout)
		}
	}
}

// Main runs a package's tests and exits the process. It fails if goroutines of the tests still run some 25 s after
// the last test.
func Main(m *testing.M) { goleak.VerifyTestMain(leakRetryingM{m}) }

// leakRetryingM delays goleak's check until the goroutines have ended.
type leakRetryingM struct{ *testing.M }

func (m leakRetryingM) Run() int {
	code := m.M.Run()
	// goleak waits for less than 0.5 s. go-redis's probe of a dead server sleeps for 1 s, also after its pool is
	// closed. Sarama decodes a response to its end before it notices that its broker was closed.
	for range 60 {
		if code != 0 || goleak.Find() == nil {
			break
		}
	}
	return code
}

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

// StartRedis starts a Redis without persistence until the test ends, and returns its address. The options are those
// of redis-server. It requires TEST_REDIS_SERVER (see RequireEnv).
func StartRedis(t testing.TB, options ...string) (addr string) {
	t.Helper()
	program := RequireEnv(t, "TEST_REDIS_SERVER")
	addr = FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	options = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, options...)
	server := exec.CommandContext(t.Context(), program, options...) //nolint:gosec // the program of devstack
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// The test's context, which kills the server, ends before the cleanups.
	t.Cleanup(func() { _ = server.Wait() })
	Eventually(t, "Redis listens", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return addr
}
