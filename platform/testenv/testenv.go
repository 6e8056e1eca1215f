// Package testenv is the test environment: addresses of real servers, free ports, fault proxies, polling, leak
// detection, and golden files of library settings.
package testenv

import (
	"os"
	"testing"
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
