package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

type opsServer struct {
	t *testing.T
	*ops.Server
}

func listen(t *testing.T, cfg ops.Config, log *slog.Logger, checks ...ops.Check) opsServer {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	registry := metrics.New("test")
	srv, err := ops.Listen(cfg, clientlimit.NewConnLimiter(1, nil, log, registry), log, registry, checks...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return opsServer{t, srv}
}

func (p opsServer) get(path string) (int, string) { return p.getAs("localhost", path) }

func (p opsServer) getAs(host, path string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.Addr()+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (p opsServer) expectReady(code int, want map[string]any) {
	p.t.Helper()
	status, body := p.get("/readyz")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		p.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || status != code {
		p.t.Errorf("status %d, want %d; %s", status, code, diff)
	}
}

func alwaysReady(context.Context) error { return nil }

func TestReadinessListsTheChecksAndHidesTheirErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var broken atomic.Bool
	p := listen(t, ops.Defaults(""), logging.New(&log, logging.Config{}, "test"),
		ops.Check{Name: "kafka", Func: alwaysReady},
		ops.Check{Name: "postgres", Func: func(context.Context) error {
			if broken.Load() {
				return errors.New("dial 10.0.0.7:5432")
			}
			return nil
		}},
		ops.Check{Name: "redis", Func: func(context.Context) error {
			if broken.Load() {
				panic("lost")
			}
			return nil
		}})
	p.expectReady(200, map[string]any{"status": "ready", "checks": map[string]any{"kafka": "ok", "postgres": "ok", "redis": "ok"}})
	broken.Store(true)
	for range 3 {
		p.expectReady(503, map[string]any{"status": "not ready", "checks": map[string]any{"kafka": "ok", "postgres": "failing", "redis": "failing"}})
	}
	if code, _ := p.get("/livez"); code != 200 {
		t.Errorf("/livez is %d while a check fails", code)
	}
	broken.Store(false)
	p.expectReady(200, map[string]any{"status": "ready", "checks": map[string]any{"kafka": "ok", "postgres": "ok", "redis": "ok"}})
	for text, want := range map[string]int{"dial 10.0.0.7:5432": 1, "panic: lost": 1, "passes again": 2} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q logged %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}

func TestReadinessLogsEachChangeOnceForConcurrentProbes(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var works atomic.Bool // initially false: a probe may arrive before the process is ready
	p := listen(t, ops.Defaults(""), logging.New(&log, logging.Config{}, "test"), ops.Check{Name: "kafka", Func: func(context.Context) error {
		if !works.Load() {
			return errors.New("not joined yet")
		}
		return nil
	}})
	for _, now := range []bool{false, true, false} {
		works.Store(now)
		var probes sync.WaitGroup
		for range 20 {
			probes.Go(func() { _ = ops.Probe(t.Context(), ops.Config{Addr: p.Addr()}) })
		}
		probes.Wait()
	}
	for text, want := range map[string]int{"not joined yet": 2, "passes again": 1, `"check":"kafka"`: 3} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q logged %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}

func TestHangingCheckFailsAfterOneSecondAndDelaysNoOther(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	deaf := ops.Check{Name: "deaf", Func: func(context.Context) error { <-release; return nil }}
	slow := ops.Check{Name: "slow", Func: func(ctx context.Context) error { <-ctx.Done(); return errors.New("10.0.0.7:6379 is frozen") }}
	var log bytes.Buffer
	p := listen(t, ops.Defaults(""), logging.New(&log, logging.Config{}, "test"), deaf, slow, ops.Check{Name: "quick", Func: alwaysReady})
	start := time.Now()
	p.expectReady(503, map[string]any{"status": "not ready", "checks": map[string]any{"deaf": "failing", "slow": "failing", "quick": "ok"}})
	if took := time.Since(start); took < time.Second || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for _, text := range []string{`"check":"deaf","error":"the check did not return within 1s"`, `"check":"slow","error":"10.0.0.7:6379 is frozen"`} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log lacks %s:\n%s", text, log.String())
		}
	}
	close(release)
}

func TestFailReadinessTurnsReadinessOffAndThenWaits(t *testing.T) {
	t.Parallel()
	p := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: alwaysReady})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.FailReadiness(0).Run(ctx); err != nil {
		t.Error(err)
	}
	p.expectReady(503, map[string]any{"status": "draining", "checks": map[string]any{"x": "ok"}})
	if code, _ := p.get("/livez"); code != 200 {
		t.Errorf("/livez is %d while draining", code)
	}
}

func TestFailReadinessWaitsForTheGivenTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := new(ops.Server).FailReadiness(3 * time.Second).Run(ctx); err != nil || time.Since(start) != time.Minute+3*time.Second {
			t.Errorf("took %v: %v", time.Since(start), err)
		}
	})
}

func TestMirrorReadinessReportsEachChangeAndTheStop(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	p := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: func(context.Context) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}}, ops.Check{Name: "y", Func: alwaysReady})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var reported []bool
		ended := make(chan error, 1)
		go func() { ended <- p.MirrorReadiness(func(ready bool) { reported = append(reported, ready) }).Run(ctx) }()
		synctest.Wait()
		broken.Store(false)
		<-time.After(time.Second + time.Millisecond)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]bool{false, false, true, false}, reported); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
	})
}

func TestServiceReadyFollowsReadiness(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	p := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: func(context.Context) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}}, ops.Check{Name: "y", Func: alwaysReady})
	expect := func(condition, want string) {
		t.Helper()
		if code, body := p.get("/metrics"); code != 200 || !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("%s: status %d without %q in:\n%s", condition, code, want, body)
		}
	}
	expect("every check passes", "service_ready 1")
	broken.Store(true)
	expect("one of two checks fails", "service_ready 0")
	broken.Store(false)
	expect("every check passes again", "service_ready 1")
	drained, drain := context.WithCancel(t.Context())
	drain()
	if err := p.FailReadiness(0).Run(drained); err != nil {
		t.Fatal(err)
	}
	expect("the service drains", "service_ready 0")
}

// The test's context ends with its body and stops the server; the cleanup of listen wants
// that stop to succeed.
func TestScrapeOfAFrozenDependencyDoesNotFailTheStop(t *testing.T) {
	t.Parallel()
	frozen := make(chan struct{}, 1)
	p := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: func(ctx context.Context) error {
		frozen <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	var scrape sync.WaitGroup
	t.Cleanup(scrape.Wait)
	scrape.Go(func() {
		if code, body := p.get("/metrics"); code != 200 || !strings.Contains(body, "\nservice_ready 0\n") {
			t.Errorf("the scrape got status %d: %s", code, body)
		}
	})
	<-frozen
}

func TestServerServesMetricsAlwaysAndProfilesWhenConfigured(t *testing.T) {
	t.Parallel()
	profiling := ops.Defaults("")
	profiling.Pprof = true
	closed, open := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler)), listen(t, profiling, slog.New(slog.DiscardHandler))
	if code, body := closed.get("/metrics"); code != 200 || !strings.Contains(body, `service_info{service="test"} 1`) {
		t.Errorf("/metrics: %d %s", code, body)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		if code, _ := closed.get(path); code != 404 {
			t.Errorf("%s is %d without being configured", path, code)
		}
		if code, _ := open.get(path); code != 200 {
			t.Errorf("%s is %d", path, code)
		}
	}
}

func TestProbeReturnsNilOnlyWhenTheProcessIsReady(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	p := listen(t, ops.Defaults(""), slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: func(context.Context) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}})
	_, number, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{p.Addr(), ":" + number, "0.0.0.0:" + number, "[::]:" + number} {
		if err := ops.Probe(t.Context(), ops.Config{Addr: addr}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	broken.Store(true)
	if err := ops.Probe(t.Context(), ops.Config{Addr: p.Addr()}); err == nil || !strings.Contains(err.Error(), `"x":"failing"`) {
		t.Errorf("got %v", err)
	}
	for _, addr := range []string{"127.0.0.1:1", "nonsense"} {
		if err := ops.Probe(t.Context(), ops.Config{Addr: addr}); err == nil {
			t.Errorf("%s is ready", addr)
		}
	}
}

func TestProbesAreServedUnderAnyHostAndOtherPathsAreNot(t *testing.T) {
	t.Parallel()
	cfg := ops.Defaults("")
	cfg.Pprof, cfg.AllowedHosts = true, []string{"ops.example.com"}
	p := listen(t, cfg, slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: alwaysReady})
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/cmdline"} {
		for host, served := range map[string]bool{"evil.example": false, "ops.example.com": true, "localhost:9101": true, "stats-service": true, "10.0.0.7:9101": true} {
			want := http.StatusOK
			if !served && path != "/livez" && path != "/readyz" {
				want = http.StatusMisdirectedRequest
			}
			if got, _ := p.getAs(host, path); got != want {
				t.Errorf("%s of %s: %d, want %d", path, host, got, want)
			}
		}
	}
	for path, want := range map[string]int{"/nothing": 421, "/livez/": 421, "//livez": 421, "/metrics/../livez": 421} {
		if got, _ := p.getAs("evil.example", path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestServerLimitsAllConnectionsButNotThoseOfOneClient(t *testing.T) {
	t.Parallel()
	cfg := ops.Defaults("")
	cfg.MaxConns = 3
	p := listen(t, cfg, slog.New(slog.DiscardHandler))
	var held []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		held = append(held, conn)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	isServed := func() bool {
		resp, err := client.Get("http://" + p.Addr() + "/livez")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	}
	if isServed() {
		t.Error("a fourth connection was served")
	}
	held[0].Close()
	testenv.Eventually(t, "there is room again", isServed)
}

func TestConfigRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Ops ops.Config `config:"ops"`
	}{ops.Defaults(":9101")}
	if err := config.Load(&cfg, "", nil); err != nil {
		t.Error(err)
	}
	err := config.Load(&cfg, "", []string{"OPS_ADDR=9101", "OPS_MAX_CONNS=0", "OPS_ALLOWED_HOSTS=*"})
	for _, key := range []string{"ops.addr", "ops.max_conns", "ops.allowed_hosts"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("want %s in %v", key, err)
		}
	}
}
