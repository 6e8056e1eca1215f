package link_test

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

	"example.com/todo/scripts/prove/internal/link"
)

// echo is a server that answers each line with itself, and counts them.
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
			go e.answer(conn)
		}
	}()
	return e
}

func (e *echo) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		e.lines.Add(1)
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return
		}
	}
}

func listen(t *testing.T, target string) *link.Link {
	t.Helper()
	l, err := link.Listen(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// client asks over one connection.
type client struct {
	net.Conn
	answers *bufio.Reader
}

func dial(t *testing.T, l *link.Link) client {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{conn, bufio.NewReader(conn)}
}

// ask sends a line and reads the answer, waiting at most so long.
func (c client) ask(line string, limit time.Duration) (string, error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	answer, err := c.answers.ReadString('\n')
	return strings.TrimSpace(answer), err
}

const (
	soon  = 10 * time.Second
	short = 100 * time.Millisecond
)

func (c client) mustAsk(t *testing.T, line string) {
	t.Helper()
	if got, err := c.ask(line, soon); err != nil || got != line {
		t.Fatalf("answer %q, %v", got, err)
	}
}

func TestALinkPassesEverythingOn(t *testing.T) {
	t.Parallel()
	l := listen(t, newEcho(t).addr)
	c := dial(t, l)
	c.mustAsk(t, "hello")
	c.mustAsk(t, strings.Repeat("long ", 10_000)+"end")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

func TestACutResetsWhatIsOpenAndNothingElse(t *testing.T) {
	t.Parallel()
	l := listen(t, newEcho(t).addr)
	one, two := dial(t, l), dial(t, l)
	one.mustAsk(t, "1")
	two.mustAsk(t, "2")
	if n := l.Cut(); n != 2 {
		t.Errorf("%d cut, want 2", n)
	}
	for _, c := range []client{one, two} {
		if _, err := c.ask("again", soon); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("after the cut: %v", err)
		}
	}
	dial(t, l).mustAsk(t, "3")
}

func TestALinkThatLeadsElsewhereCutsWhatIsOpen(t *testing.T) {
	t.Parallel()
	before, after := newEcho(t), newEcho(t)
	l := listen(t, before.addr)
	c := dial(t, l)
	c.mustAsk(t, "1")
	l.Lead(after.addr)
	if _, err := c.ask("again", soon); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("over the connection of before: %v", err)
	}
	dial(t, l).mustAsk(t, "2")
	if before.lines.Load() != 1 || after.lines.Load() != 1 {
		t.Errorf("%d lines came to the first server, %d to the second", before.lines.Load(), after.lines.Load())
	}
}

func TestADelayHoldsBackWithoutNarrowing(t *testing.T) {
	t.Parallel()
	const delay = 80 * time.Millisecond
	l := listen(t, newEcho(t).addr)
	c := dial(t, l)
	c.mustAsk(t, "before")
	l.Delay(delay, delay)
	began := time.Now()
	c.mustAsk(t, "delayed")
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back in %s, want at least %s", took, 2*delay)
	}
	l.Delay(0, 0)
	c.mustAsk(t, "after")
}

func TestAStalledLinkMovesNothingUntilItPasses(t *testing.T) {
	t.Parallel()
	server := newEcho(t)
	l := listen(t, server.addr)
	open := dial(t, l)
	open.mustAsk(t, "before")
	l.Set(link.Stall)
	fresh := dial(t, l)
	for _, c := range []client{open, fresh} {
		if got, err := c.ask("stalled", short); !isTimeout(err) {
			t.Errorf("%q, %v; want a timeout", got, err)
		}
	}
	if n := server.lines.Load(); n != 1 {
		t.Errorf("the server got %d lines, want 1", n)
	}
	l.Set(link.Pass)
	for _, c := range []client{open, fresh} {
		if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
		if got, err := c.answers.ReadString('\n'); err != nil || got != "stalled\n" {
			t.Errorf("%q, %v; want the stalled line", got, err)
		}
	}
}

func TestDroppedAnswersAreOfRequestsThatWereExecuted(t *testing.T) {
	t.Parallel()
	server := newEcho(t)
	l := listen(t, server.addr)
	c := dial(t, l)
	c.mustAsk(t, "before")
	l.Set(link.DropAnswers)
	if got, err := c.ask("dropped", short); !isTimeout(err) {
		t.Errorf("%q, %v; want a timeout", got, err)
	}
	if n := server.lines.Load(); n != 2 {
		t.Errorf("the server got %d lines, want 2", n)
	}
	l.Cut()
	l.Set(link.Pass)
	if got, err := c.ask("cut", soon); err == nil {
		t.Errorf("answer %q over a connection that was cut", got)
	}
	dial(t, l).mustAsk(t, "after")
}

func TestALinkThatRefusesCutsWhatIsOpenAndWhatComes(t *testing.T) {
	t.Parallel()
	l := listen(t, newEcho(t).addr)
	open := dial(t, l)
	open.mustAsk(t, "before")
	l.Set(link.Refuse)
	if got, err := open.ask("refused", soon); err == nil || isTimeout(err) {
		t.Errorf("%q, %v; want a failure at once", got, err)
	}
	wantRefused(t, l)
	l.Set(link.Pass)
	dial(t, l).mustAsk(t, "after")
}

func TestAServerThatIsAwayIsAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	wantRefused(t, listen(t, addr))
}

// wantRefused wants a new connection to fail at once: while it is made, or when it is used.
func wantRefused(t *testing.T, l *link.Link) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got, err := (client{conn, bufio.NewReader(conn)}).ask("anybody", soon); err == nil || isTimeout(err) {
		t.Errorf("%q, %v; want a failure at once", got, err)
	}
}

func isTimeout(err error) bool {
	var failure net.Error
	return errors.As(err, &failure) && failure.Timeout()
}
