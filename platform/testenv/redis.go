package testenv

import (
	"net"
	"os/exec"
	"testing"
)

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
