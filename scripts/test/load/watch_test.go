package load

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	perWatcher = 40_000 // bytes
	reachAll   = 500 * time.Millisecond
	forStalled = 64 << 20         // bytes
	cutOff     = 30 * time.Second // 10 s without progress, and a margin for a busy machine
)

// Thousands of watchers share few connections.
func TestChangeReachesAllWatchersInTime(t *testing.T) {
	watchers, conns, phase, rate := 500, 5, 3*time.Second, 2
	most := 2.0 * perWatcher // few watchers share the fixed cost
	if *long {
		watchers, conns, phase, most = 5_000, 50, 20*time.Second, perWatcher
	}
	r := newFixture(t).replica(t)
	r.start(t)
	users := newClient(t, r.http)
	if _, err := users.create(t.Context(), "to warm up"); err != nil {
		t.Fatal(err)
	}
	before := r.memory(t)
	a := startWatchers(t, r, watchers, conns)
	each := (r.memory(t) - before) / float64(watchers)
	ctx, cancel := context.WithTimeout(t.Context(), phase)
	defer cancel()
	busy := r.metric(t, "process_cpu_seconds_total ")
	p99 := percentile(a.make(ctx, t, users, rate, "Learn Go"), 99)
	busy = (r.metric(t, "process_cpu_seconds_total ") - busy) / float64(len(a.heard))
	after := (r.memory(t) - before) / float64(watchers)
	t.Logf("%d watchers over %d connections: a change reaches all with p99 %v, for %.0f ms of CPU time; %.0f bytes a watcher, %.0f once changes were sent",
		watchers, conns, p99.Round(time.Millisecond), 1000*busy, each, after)
	if *long && p99 > reachAll {
		t.Errorf("p99 is %v, want at most %v", p99, reachAll)
	}
	if max(each, after) > most {
		t.Errorf("a watcher takes more than %.0f bytes", most)
	}
}

// Watchers that stop reading are asked to reconnect, or disconnected, within seconds. Measurements without them
// frame the one with them, so that other load on the machine affects both.
func TestStalledWatchersDoNotDelayOtherWatchers(t *testing.T) {
	stalled, turns, phase, rate := 100, 1, 2*time.Second, 50
	if *long {
		stalled, turns, phase = 1_000, 5, 5*time.Second
	}
	r := newFixture(t).replica(t)
	r.start(t)
	users := newClient(t, r.http)
	const watching = 50
	a := startWatchers(t, r, watching, 5)
	title := strings.Repeat("界", 500) // the longest title
	measure := func(phase time.Duration) []time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), phase)
		defer cancel()
		return a.make(ctx, t, users, rate, title)
	}
	measure(phase) // to warm up

	var ratios []float64
	var most float64
	for range turns {
		before, memory := measure(phase), r.memory(t)
		ctx, leave := context.WithCancel(t.Context())
		stallOverGRPC(ctx, t, r, stalled/2, 10)
		stallOverHTTP(ctx, t, r, stalled-stalled/2)
		measure(2 * time.Second) // fills the buffers of the stalled watchers
		with := percentile(measure(phase), 99)
		more := r.memory(t) - memory
		most = max(most, more)
		await(t, cutOff, "the stalled are cut off", func() bool { return r.metric(t, "todo_watchers ") == watching })
		leave()
		without := percentile(append(before, measure(phase)...), 99)
		t.Logf("p99 %v, with %d stalled watchers %v; they take %.1f MiB", without, stalled, with, more/(1<<20))
		ratios = append(ratios, with.Seconds()/max(without, least).Seconds())
	}
	slices.Sort(ratios)
	t.Logf("p99 grew by factors of %.2f", ratios)
	if verdict := ratios[len(ratios)/2]; *long && verdict > 2 {
		t.Errorf("p99 grew by a factor of %.2f, want at most 2", verdict)
	}
	if most > forStalled {
		t.Errorf("the stalled took %.1f MiB, want at most %d", most/(1<<20), forStalled>>20)
	}
}

// memory returns the resident memory of the process.
func (r *replica) memory(t *testing.T) float64 {
	t.Helper()
	return r.metric(t, "process_resident_memory_bytes ")
}
