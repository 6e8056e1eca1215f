package page

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"example.com/todo/scripts/internal/poll"

	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/browser"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/stack"
	"example.com/todo/scripts/internal/toolchain"
)

// startLimit bounds the start of the system and of Chromium.
const startLimit = 5 * time.Minute

// What all tests share. They run one after another.
var (
	system   *running // without sign-in, except in the tests of sign-in
	signedIn *running // with sign-in; nil until a test needs it
	chromium *browser.Browser
	axe      string // the script of axe-core
)

// TestMain lets the test's own program be the embedded Kafka, as devstack is.
func TestMain(m *testing.M) {
	if isBroker, err := server.RunIfBroker(); isBroker {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	interrupted, stop := signal.NotifyContext(context.Background(), process.StopSignals()...)
	defer stop()
	var err error
	chromium, err = browser.Launch(context.Background())
	switch {
	case err == nil:
		defer chromium.Close()
	case errors.Is(err, browser.ErrNotInstalled) && os.Getenv("CI") != "true":
		fmt.Println("SKIP: the page is not tested:", err)
		return 0
	default:
		fmt.Println("the page cannot be tested:", err)
		return 1
	}
	system, err = startSystem(interrupted)
	if err != nil {
		fmt.Println("the system did not start:", err)
		return 1
	}
	// Ctrl-C must not leave the folders of the system and of Chromium.
	ignore := context.AfterFunc(interrupted, func() {
		code := max(1, endSystem())
		chromium.Close()
		os.Exit(code)
	})
	code := m.Run()
	if !ignore() {
		select {} // until the function above exits
	}
	fmt.Println("screenshots:", screenshotDir)
	return max(code, endSystem())
}

// endSystem stops what runs and returns the exit status.
func endSystem() (code int) {
	for _, s := range []*running{system, signedIn} {
		if s == nil {
			continue
		}
		if err := s.end(); err != nil {
			fmt.Println("the system did not end well:", err)
			code = 1
		}
	}
	return code
}

// running is a system that runs: its folder, the addresses in its stack.env by name, and the proxies before it.
type running struct {
	dir         string
	env         map[string]string
	todo, stats *proxy
	output      *os.File
	stop        context.CancelFunc
	ended       chan error
	release     func() // of the ports
}

// startSystem runs the whole system on free ports, with limits that the tests do not reach, and with more settings.
func startSystem(ctx context.Context, environ ...string) (*running, error) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "todo-page-")
	if err != nil {
		return nil, err
	}
	s := &running{dir: dir, ended: make(chan error, 1)}
	defer func() {
		if s.stop == nil { // nothing was started
			_ = os.RemoveAll(dir)
		}
	}()
	if s.output, err = os.Create(filepath.Join(dir, "output.log")); err != nil {
		return nil, err
	}
	tools, err := toolchain.New(console.Plain(s.output), os.Getenv)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if axe, err = tools.Finder.Axe(ctx); err != nil {
		return nil, err
	}
	ports, release, err := stack.ResolvePorts(ctx, "free", os.Getenv, toolchain.KafkaEmbedded)
	if err != nil {
		return nil, err
	}
	s.release = release
	s.todo, s.stats = newProxy(ports.Addr("TODO_HTTP_PORT")), newProxy(ports.Addr("STATS_HTTP_PORT"))
	settings := stack.Settings{
		Root: root, Dir: dir, Kafka: toolchain.KafkaEmbedded, Ports: ports,
		Environ: append(os.Environ(),
			"RATE_LIMIT_REQUESTS=1000000", "RATE_LIMIT_WINDOW=1s", "WATCH_MAX_PER_CLIENT=1000", "MAX_CONNS_PER_CLIENT=5000",
			"WEB_STATS_URL="+s.stats.url(), "HTTP_CORS_ORIGINS="+s.todo.url()),
	}
	settings.Environ = append(settings.Environ, environ...)
	var runCtx context.Context
	runCtx, s.stop = context.WithCancel(context.Background())
	go func() {
		s.ended <- stack.Run(runCtx, tools, settings)
		close(s.ended)
	}()
	err = poll.Until(ctx, func() error {
		select {
		case err := <-s.ended:
			return poll.Permanent(fmt.Errorf("it ended: %w", err))
		default:
		}
		s.env, err = stack.Env(dir)
		return err
	})
	if err != nil {
		err = errors.Join(err, s.quoteOutput()) // the end may remove the output
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// end stops the system and removes its folder.
func (s *running) end() error {
	s.stop()
	err := <-s.ended
	s.todo.close()
	s.stats.close()
	s.release()
	if err != nil {
		return errors.Join(fmt.Errorf("(kept in %s) %w", s.dir, err), s.quoteOutput())
	}
	return errors.Join(s.output.Close(), os.RemoveAll(s.dir))
}

// quoteOutput returns the end of the system's output as an error.
func (s *running) quoteOutput() error {
	text, err := os.ReadFile(s.output.Name())
	if err != nil {
		return err
	}
	return fmt.Errorf("the output ends with:\n%s", text[max(0, len(text)-8000):])
}

// limit is how long a test waits for a condition: a busy machine takes ten times as long as an idle one.
const limit = 40 * time.Second

// receive returns what a channel delivers. It fails the test if that does not come in time.
func receive[T any](t *testing.T, from <-chan T, what string) (received T) {
	t.Helper()
	select {
	case received = <-from:
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
	}
	return received
}

// eventually fails the test if check does not succeed in time.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := poll.Until(ctx, check); err != nil {
		t.Fatal(err)
	}
}
