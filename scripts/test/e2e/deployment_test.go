package e2e

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// deployment is a way to run the system.
type deployment interface {
	// address returns where a part listens, by the name of the variable in stack.env.
	address(variable string) string
	// credential returns a name, a password or a file with which clients of a secure system authenticate, by the name of the
	// variable in stack.env.
	credential(variable string) string
	// stop stops one part. If the test fails, its cleanup starts the part again.
	stop(t *testing.T, part string)
	start(t *testing.T, part string)
	// log returns what a part has logged.
	log(t *testing.T, part string) string
	// command returns a command of a service's binary, with the settings of the operator.
	command(ctx context.Context, service string, args ...string) *exec.Cmd
	// limitedClient says how requests are sent that all count for one address: from which local one, or "" for any, and
	// with which headers of the i-th request: they name another address that must not count.
	limitedClient() (from, counted string, headers func(i int) []string)
	// refusalLimit returns how long a request may wait for a PostgreSQL that is stopped.
	refusalLimit() time.Duration
	// end stops the system and removes its data. A data race or a panic in a service's log is an error.
	end() error
}
