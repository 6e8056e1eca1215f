package load

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Two replicas behind a balancer restart in turn under a steady request rate, and no request may fail. In the
// end one replica stops while a client sends an endless body.
func TestRollingRestartsFailNoRequest(t *testing.T) {
	rounds, rate, probe, settings := 1, 100, 100*time.Millisecond, []string{"DRAIN_WAIT=1s", "HTTP_DRAIN_TIMEOUT=6s"}
	if *long {
		rounds, rate, probe, settings = 10, 300, time.Second, nil
	}
	w := newFixture(t)
	replicas := []*replica{w.replica(t, settings...), w.replica(t, settings...)}
	for _, r := range replicas {
		r.start(t)
	}
	b := newBalancer(t, probe, replicas...)
	await(t, 30*time.Second, "both replicas in turn", b.all)

	users := newClient(t, strings.TrimPrefix(b.URL, "http://"))
	ctx, finish := context.WithCancel(t.Context())
	defer finish()
	outcomes := make(chan *outcome, 1)
	begun := time.Now()
	go func() { outcomes <- drive(ctx, rate, users.randomRequest) }()
	for range rounds {
		for _, r := range replicas {
			took, err := r.stop(t)
			if err != nil {
				t.Errorf("%s ended with %v", r.http, err)
			}
			t.Logf("stopped within %v", took.Round(time.Millisecond))
			r.start(t)
			await(t, 30*time.Second, "both replicas in turn", b.all)
		}
	}
	hang(t, replicas[0].http)
	took, _ := replicas[0].stop(t) // the error says that it aborted a request
	t.Logf("stopped within %v with a client that hangs", took.Round(time.Millisecond))
	finish()
	o := <-outcomes
	o.report(t)
	t.Logf("%d requests, %.0f/s, %d answered otherwise than 2xx", len(o.took), float64(len(o.took))/time.Since(begun).Seconds(), len(o.failed))
}

// hang sends the first bytes of a body and then nothing until the test ends.
func hang(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
}
