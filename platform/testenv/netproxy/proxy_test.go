package netproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

// echo is a server that responds to each line with the same line, and counts them.
type echo struct {
	addr  string
	lines atomic.Int64
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	e := &echo{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go e.serve(conn)
		}
	}()
	return e
}

func (e *echo) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		e.lines.Add(1)
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return
		}
	}
}

// client sends lines over one connection.
type client struct {
	net.Conn
	responses *bufio.Reader
}

func dial(t *testing.T, p *netproxy.Proxy) client {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{conn, bufio.NewReader(conn)}
}

// send sends a line and returns the response; both within limit.
func (c client) send(line string, limit time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	response, err := c.responses.ReadString('\n')
	return strings.TrimSpace(response), err
}

const (
	soon  = 10 * time.Second
	short = 100 * time.Millisecond
)

func (c client) mustSend(t *testing.T, line string) {
	t.Helper()
	if got, err := c.send(line, soon); err != nil || got != line {
		t.Fatalf("response %q, %v", got, err)
	}
}

func TestProxyForwardsDataAndEndOfStream(t *testing.T) {
	t.Parallel()
	p := testenv.StartProxy(t, newEcho(t).addr)
	c := dial(t, p)
	c.mustSend(t, "hello")
	c.mustSend(t, strings.Repeat("long ", 10_000)+"end")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.responses.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

func TestResetConnectionsResetsOpenConnectionsOnly(t *testing.T) {
	t.Parallel()
	p := testenv.StartProxy(t, newEcho(t).addr)
	one, two := dial(t, p), dial(t, p)
	one.mustSend(t, "1")
	two.mustSend(t, "2")
	p.ResetConnections()
	for _, c := range []client{one, two} {
		if _, err := c.send("again", soon); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("after the reset: %v", err)
		}
	}
	dial(t, p).mustSend(t, "3")
}

func TestSetTargetResetsOpenConnections(t *testing.T) {
	t.Parallel()
	before, after := newEcho(t), newEcho(t)
	p := testenv.StartProxy(t, before.addr)
	c := dial(t, p)
	c.mustSend(t, "1")
	p.SetTarget(after.addr)
	if _, err := c.send("again", soon); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("over the old connection: %v", err)
	}
	dial(t, p).mustSend(t, "2")
	if before.lines.Load() != 1 || after.lines.Load() != 1 {
		t.Errorf("the first server got %d lines, the second %d", before.lines.Load(), after.lines.Load())
	}
}

func TestLatencyDelaysBothDirections(t *testing.T) {
	t.Parallel()
	const delay = 80 * time.Millisecond
	p := testenv.StartProxy(t, newEcho(t).addr)
	c := dial(t, p)
	c.mustSend(t, "before")
	p.SetLatency(delay, delay)
	began := time.Now()
	c.mustSend(t, "delayed")
	if took := time.Since(began); took < 2*delay {
		t.Errorf("round trip in %s, want at least %s", took, 2*delay)
	}
	p.SetLatency(0, 0)
	c.mustSend(t, "after")
}

func TestStallHoldsDataUntilForward(t *testing.T) {
	t.Parallel()
	server := newEcho(t)
	p := testenv.StartProxy(t, server.addr)
	open := dial(t, p)
	open.mustSend(t, "before")
	p.SetMode(netproxy.Stall)
	fresh := dial(t, p)
	for _, c := range []client{open, fresh} {
		if got, err := c.send("stalled", short); !isTimeout(err) {
			t.Errorf("%q, %v; want a timeout", got, err)
		}
	}
	if n := server.lines.Load(); n != 1 {
		t.Errorf("the server got %d lines, want 1", n)
	}
	p.SetMode(netproxy.Forward)
	for _, c := range []client{open, fresh} {
		if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.responses.ReadString('\n'); err != nil || got != "stalled\n" {
			t.Errorf("%q, %v; want the stalled line", got, err)
		}
	}
}

func TestDropResponsesForwardsRequests(t *testing.T) {
	t.Parallel()
	server := newEcho(t)
	p := testenv.StartProxy(t, server.addr)
	c := dial(t, p)
	c.mustSend(t, "before")
	p.SetMode(netproxy.DropResponses)
	if got, err := c.send("dropped", short); !isTimeout(err) {
		t.Errorf("%q, %v; want a timeout", got, err)
	}
	if n := server.lines.Load(); n != 2 {
		t.Errorf("the server got %d lines, want 2", n)
	}
	p.ResetConnections()
	p.SetMode(netproxy.Forward)
	if got, err := c.send("lost", soon); err == nil {
		t.Errorf("response %q over a connection that was reset", got)
	}
	dial(t, p).mustSend(t, "after")
}

func TestRejectResetsOpenAndNewConnections(t *testing.T) {
	t.Parallel()
	p := testenv.StartProxy(t, newEcho(t).addr)
	open := dial(t, p)
	open.mustSend(t, "before")
	p.SetMode(netproxy.Reject)
	if got, err := open.send("refused", soon); err == nil || isTimeout(err) {
		t.Errorf("%q, %v; want a failure at once", got, err)
	}
	expectRejected(t, p)
	p.SetMode(netproxy.Forward)
	dial(t, p).mustSend(t, "after")
}

func TestConnectionIsResetWhenTheServerIsDown(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	expectRejected(t, testenv.StartProxy(t, addr))
}

// expectRejected fails the test unless a new connection fails at once, while it is made or used.
func expectRejected(t *testing.T, p *netproxy.Proxy) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got, err := (client{conn, bufio.NewReader(conn)}).send("rejected", soon); err == nil || isTimeout(err) {
		t.Errorf("%q, %v; want a failure at once", got, err)
	}
}

func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}
