package testenv

import (
	"net"
	"os/exec"
	"testing"
)

// StartRedis starts a Redis of the test's own, which keeps nothing on disk and ends
// with the test, and returns its address. The options are redis-server's. It needs
// TEST_REDIS_SERVER (see Need).
func StartRedis(t testing.TB, options ...string) (addr string) {
	t.Helper()
	program := RequireEnv(t, "TEST_REDIS_SERVER")
	addr = FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	options = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, options...)
	server := exec.CommandContext(t.Context(), program, options...) //nolint:gosec // the program that devstack found
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// The context of the test ends before its cleanups, and kills the server.
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
