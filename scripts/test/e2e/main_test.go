package e2e

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The rate limit of the stack. Tests other than those of the limiter set X-Forwarded-For to a new address for
// each request.
const (
	limitRequests = 10
	limitWindow   = 5 * time.Second
)

// system is the stack under test. All tests share it and run one after the other.
var system *stack

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var err error
	if system, err = newStack(ctx); err == nil {
		err = system.run(ctx, cmp.Or(os.Getenv("E2E_KAFKA"), "best"),
			"GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -race"),
			fmt.Sprintf("RATE_LIMIT_REQUESTS=%d", limitRequests),
			fmt.Sprintf("RATE_LIMIT_WINDOW=%s", limitWindow),
			"TRUSTED_PROXIES=127.0.0.1/32",
			"LOG_FORMAT=json",
		)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the stack did not start:", err)
		return 1
	}
	defer func() {
		if err := system.end(); err != nil {
			fmt.Fprintln(os.Stderr, "the stack did not end well:", err)
			code = 1
		}
	}()
	return m.Run()
}
