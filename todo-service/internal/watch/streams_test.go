package watch_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/config"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/watch"
)

// acquireStreams acquires n streams, and returns the release functions of those that
// were granted.
func acquireStreams(t *testing.T, s *watch.Streams, client string, n int) (releases []func()) {
	t.Helper()
	for range n {
		release, err := s.Acquire(ratelimit.NewClient(0, netip.MustParseAddr(client)))
		if err == nil {
			releases = append(releases, release)
		} else if refused := apperr.Of(err); refused.Kind != apperr.RateLimited {
			t.Errorf("a stream over the limit: %v", err)
		}
	}
	return releases
}

func TestRefusedStreamsAreExportedBeforeTheFirst(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	watch.NewStreams(watch.Config{MaxWatchers: 1, MaxPerClient: 1}, metrics)
	want := `
		# HELP todo_watchers_refused_total Streams refused because there were too many, by the limit that was reached: that of the process or of the client.
		# TYPE todo_watchers_refused_total counter
		todo_watchers_refused_total{limit="client"} 0
		todo_watchers_refused_total{limit="process"} 0
	`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "todo_watchers_refused_total"); err != nil {
		t.Error(err)
	}
}

func TestStreamsLimitTheProcessAndEachClient(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	s := watch.NewStreams(watch.Config{MaxWatchers: 10, MaxPerClient: 4}, metrics)
	one := acquireStreams(t, s, "192.0.2.1", 6)
	two := acquireStreams(t, s, "2001:db8::1", 3)
	three := acquireStreams(t, s, "2001:db8::2", 3) // the same client as two
	four := acquireStreams(t, s, "192.0.2.4", 4)
	if got := [4]int{len(one), len(two), len(three), len(four)}; got != [4]int{4, 3, 1, 2} {
		t.Fatalf("the clients got %v streams", got)
	}
	want := `
		# HELP todo_watchers Open streams of changes, gRPC health and reflection.
		# TYPE todo_watchers gauge
		todo_watchers 10
		# HELP todo_watchers_refused_total Streams refused because there were too many, by the limit that was reached: that of the process or of the client.
		# TYPE todo_watchers_refused_total counter
		todo_watchers_refused_total{limit="client"} 4
		todo_watchers_refused_total{limit="process"} 2
	`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	one[0]()
	one[0]() // the second call does nothing
	if got := len(acquireStreams(t, s, "192.0.2.4", 2)); got != 1 {
		t.Errorf("%d streams were granted after one release", got)
	}
	// A stream that the limit of the process refused must not count for its client.
	for _, release := range append(two, three...) {
		release()
	}
	if got := len(acquireStreams(t, s, "192.0.2.4", 4)); got != 1 {
		t.Errorf("the client got %d more streams, want 1", got)
	}
}

func TestStreamsGrantExactlyTheLimitToConcurrentCallers(t *testing.T) {
	t.Parallel()
	s := watch.NewStreams(watch.Config{MaxWatchers: 7, MaxPerClient: 5}, prometheus.NewRegistry())
	for range 50 {
		var mu sync.Mutex
		var releases []func()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				release, err := s.Acquire(ratelimit.NewClient(int64(i%3), netip.Addr{}))
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					releases = append(releases, release)
				}
			})
		}
		all.Wait()
		if len(releases) != 7 {
			t.Fatalf("%d streams were granted, want 7", len(releases))
		}
		for _, release := range releases {
			release()
		}
	}
}

func TestConfigRefusesLimitsThatAllowNoStream(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"WATCH_MAX_WATCHERS=0", "WATCH_MAX_PER_CLIENT=0", "WATCH_MAX_PER_CLIENT=-1"} {
		cfg := struct {
			Watch watch.Config `config:"watch"`
		}{watch.Config{MaxWatchers: 1, MaxPerClient: 1}}
		if err := config.Load(&cfg, "", []string{setting}); err == nil {
			t.Errorf("%s is accepted", setting)
		}
	}
}
