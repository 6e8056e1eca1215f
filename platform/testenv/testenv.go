// Package testenv tells a test where the real servers are.
package testenv

import (
	"os"
	"testing"
)

// RequireEnv returns the environment variable name, which says where a real server
// or its program is. Without it the test is skipped, with the reason; under CI=true it
// fails, because there a skip would hide that nothing was tested.
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
