package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Slow senders hold connections on which they send single bytes of a header or a body, and reconnect when they
// are disconnected. Measurements with and without them alternate, so that other load on the machine affects both.
func TestSlowSendersDoNotDelayOtherClients(t *testing.T) {
	senders, rate, turns, turn := 500, 50, 2, time.Second
	if *long {
		senders, rate, turns, turn = 5_000, 100, 12, 5*time.Second
	}
	w := newFixture(t)
	r := w.replica(t, fmt.Sprintf("MAX_IN_FLIGHT=%d", senders*2/5)) // fewer than the senders of bodies: these must not count
	r.start(t)
	users := newClient(t, r.http)
	measure := func() []time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), turn)
		defer cancel()
		o := drive(ctx, rate, users.randomRequest)
		o.report(t)
		return o.took
	}
	measure() // to warm up

	var without, with []time.Duration
	memory := func() float64 { return r.metric(t, "process_resident_memory_bytes") / 1e6 }
	usual := memory()
	for range turns {
		without = append(without, measure()...)
		stop := startSlowSenders(t, r.http, senders)
		with = append(with, measure()...)
		stop()
	}
	before, now := percentile(without, 99), percentile(with, 99)
	factor := now.Seconds() / max(before, least).Seconds()
	t.Logf("p99 of %d requests is %v, with %d slow senders %v; memory in use %.0f MB, before them %.0f MB",
		len(without), before, senders, now, memory(), usual)
	if *long && factor > 2 {
		t.Errorf("p99 grew by a factor of %.2f, want at most 2", factor)
	}
}

// least replaces shorter durations, which other load on the machine dominates.
const least = 2 * time.Millisecond

func percentile(took []time.Duration, of int) time.Duration {
	slices.Sort(took)
	return took[(len(took)-1)*of/100].Round(10 * time.Microsecond)
}

// startSlowSenders returns when all senders are connected. They send until stop is called.
func startSlowSenders(t *testing.T, addr string, senders int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var connected atomic.Int64
	for i := range senders {
		all.Go(func() {
			for first := true; ctx.Err() == nil; first = false {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err != nil {
					continue // reported below, if it never connects
				}
				if first {
					connected.Add(1)
				}
				sendSlowly(ctx, conn, i)
				_ = conn.Close()
			}
		})
	}
	await(t, time.Minute, "all slow senders are connected", func() bool { return connected.Load() == int64(senders) })
	return func() {
		cancel()
		all.Wait()
	}
}

// sendSlowly sends the beginning of a request, and then single bytes until it is disconnected.
func sendSlowly(ctx context.Context, conn net.Conn, i int) {
	begin, more := "GET /tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ", "x"
	if i%2 == 0 {
		begin, more = "POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", " "
	}
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for next := begin; ; next = more {
		if _, err := io.WriteString(conn, next); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
