package e2e

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startLimit bounds the start of the system.
const startLimit = 5 * time.Minute

// limit returns the requests of the rate limit, and its window. Tests other than those of the limiter set X-Forwarded-For
// to a new address for each request.
func limit() (requests int, window time.Duration) {
	if secure {
		// A signed-in user is limited whatever the address: more than the requests of any other test. A busy machine needs some
		// seconds for them.
		return 200, 15 * time.Second
	}
	return 10, 5 * time.Second
}

// system is the system under test. All tests share it and run one after the other.
var system *access

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if err := selectTests(); err != nil {
		fmt.Fprintln(os.Stderr, "selecting the tests of a variant:", err)
		return 1
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, startLimit)
	defer cancel()
	var d deployment
	var err error
	switch kind := cmp.Or(os.Getenv("E2E_SYSTEM"), "devstack"); kind {
	case "devstack":
		d, err = startStack(ctx)
	case "compose":
		d, err = startComposition(ctx)
	default:
		err = fmt.Errorf("E2E_SYSTEM is %q, want devstack or compose", kind)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the system did not start:", err)
		return 1
	}
	if system, err = newAccess(d); err != nil {
		fmt.Fprintln(os.Stderr, "reaching the system:", err)
		return max(1, end(d))
	}
	// Ctrl-C must not leave containers, which are no children of this process.
	ignore := context.AfterFunc(interrupted, func() { os.Exit(max(1, end(d))) })
	code := m.Run()
	ignore()
	return max(code, end(d))
}

// end stops the system and returns the exit status.
func end(d deployment) int {
	if err := d.end(); err != nil {
		fmt.Fprintln(os.Stderr, "the system did not end well:", err)
		return 1
	}
	return 0
}

// settings are those of the services that the tests rely on. proxies may name the client's address.
func settings(proxies string) []string {
	requests, window := limit()
	return []string{
		fmt.Sprintf("RATE_LIMIT_REQUESTS=%d", requests),
		fmt.Sprintf("RATE_LIMIT_WINDOW=%s", window),
		"TRUSTED_PROXIES=" + proxies,
	}
}

// startStack starts the stack that all tests share, with services that detect data races.
func startStack(ctx context.Context) (*stack, error) {
	s, err := newStack(ctx)
	if err != nil {
		return nil, err
	}
	env := append(settings("127.0.0.1/32"), "LOG_FORMAT=json", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -race"))
	return s, s.run(ctx, cmp.Or(os.Getenv("E2E_KAFKA"), "best"), env...)
}
