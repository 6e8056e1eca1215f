package load

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Slow senders hold connections on which they send a byte now and then: of a
// header, or of a body. Whoever is cut off comes again. Meanwhile everybody else is
// served nearly as fast as without them.
func TestSlowSendersSlowDownNobodyElse(t *testing.T) {
	senders, pairs, phase, rate := 500, 3, 2*time.Second, 50
	if *long {
		senders, pairs, phase, rate = 5_000, 5, 10*time.Second, 100
	}
	w := newWorld(t)
	r := w.replica(t)
	r.start(t)
	users := newClient(t, r.http)
	measure := func() time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), phase)
		defer cancel()
		o := drive(ctx, rate, users.something)
		o.report(t)
		slices.Sort(o.took)
		return o.took[len(o.took)*99/100]
	}
	measure() // to warm up

	var ratios []float64
	for range pairs {
		without := measure()
		stop := besiege(t, r.http, senders)
		with := measure()
		stop()
		t.Logf("p99 %v, with %d slow senders %v", without.Round(time.Microsecond), senders, with.Round(time.Microsecond))
		ratios = append(ratios, with.Seconds()/max(without, least).Seconds())
	}
	slices.Sort(ratios)
	verdict := ratios[len(ratios)/2]
	if !*long {
		verdict = ratios[0] // other tests run beside this one
	}
	t.Logf("p99 grew by factors of %.2f", ratios)
	if verdict > 2 {
		t.Errorf("p99 grew by a factor of %.2f, want at most 2", verdict)
	}
}

// least is what a p99 is taken for that is so short that other work on the machine
// decides of it.
const least = 20 * time.Millisecond

// besiege keeps so many slow senders busy until stop is called, and returns once
// all of them are connected.
func besiege(t *testing.T, addr string, senders int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var connected atomic.Int64
	for i := range senders {
		all.Go(func() {
			for first := true; ctx.Err() == nil; first = false {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err != nil {
					continue // it is told on the way out when nobody gets in
				}
				if first {
					connected.Add(1)
				}
				dawdle(ctx, conn, i)
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

// dawdle sends the beginning of a request, and then bytes one by one until it is
// cut off.
func dawdle(ctx context.Context, conn net.Conn, i int) {
	begin, more := "GET /tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ", "x"
	if i%2 == 0 {
		begin, more = "POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", " "
	}
	tick := time.NewTicker(time.Second)
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
