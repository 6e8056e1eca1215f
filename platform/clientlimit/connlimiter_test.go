package clientlimit_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// testLimiter is a ConnLimiter with its log and metrics.
type testLimiter struct {
	*clientlimit.ConnLimiter
	reg *prometheus.Registry
	log processtest.Log
}

func newTestLimiter(perClient int, exempt ...string) *testLimiter {
	l := &testLimiter{reg: prometheus.NewRegistry()}
	var networks []netip.Prefix
	for _, network := range exempt {
		networks = append(networks, netip.MustParsePrefix(network))
	}
	l.ConnLimiter = clientlimit.NewConnLimiter(perClient, networks, slog.New(slog.NewTextHandler(&l.log, nil)), l.reg)
	return l
}

func (l *testLimiter) warnings() int {
	return strings.Count(l.log.String(), "level=WARN")
}

func (l *testLimiter) expectMetrics(t *testing.T, want string) {
	t.Helper()
	// The client may see the connection before the server has counted it.
	var err error
	testenv.Eventually(t, "the metrics are "+want, func() bool {
		err = testutil.GatherAndCompare(l.reg, strings.NewReader(want))
		return err == nil
	})
}

// serve starts a server behind wrap that sends "hello" on each connection and closes it
// after its client.
func serve(t *testing.T, wrap func(net.Listener) net.Listener) (addr string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := wrap(inner)
	var all sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				io.WriteString(conn, "hello")
				io.Copy(io.Discard, conn)
				conn.Close()
				conn.Close() // the second Close must not release again
			})
		}
	})
	return listener.Addr().String()
}

// connect returns an open connection, or nil when the server closed it.
func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		return nil
	}
	return conn
}

func connectAll(t *testing.T, addr string, n int) (open []net.Conn) {
	t.Helper()
	for range n {
		if conn := connect(t, addr); conn != nil {
			open = append(open, conn)
		}
	}
	return open
}

func TestRefusedConnectionsAreExportedBeforeTheFirst(t *testing.T) {
	t.Parallel()
	l := newTestLimiter(1)
	serve(t, l.Limit("http", 1))
	l.expectMetrics(t, `
		# HELP server_connections Open connections by server.
		# TYPE server_connections gauge
		server_connections{server="http"} 0
		# HELP server_connections_refused_total Connections closed at once, by server and by the limit that was reached: the server's or the client's.
		# TYPE server_connections_refused_total counter
		server_connections_refused_total{limit="client",server="http"} 0
		server_connections_refused_total{limit="server",server="http"} 0
	`)
}

func TestServerClosesConnectionsBeyondItsLimit(t *testing.T) {
	t.Parallel()
	l := newTestLimiter(100)
	first, second := serve(t, l.Limit("first", 3)), serve(t, l.Limit("second", 3))
	open := connectAll(t, first, 5)
	if len(open) != 3 {
		t.Fatalf("%d connections are open", len(open))
	}
	if got := len(connectAll(t, second, 2)); got != 2 {
		t.Errorf("another server holds %d connections", got)
	}
	l.expectMetrics(t, `
		# HELP server_connections Open connections by server.
		# TYPE server_connections gauge
		server_connections{server="first"} 3
		server_connections{server="second"} 2
		# HELP server_connections_refused_total Connections closed at once, by server and by the limit that was reached: the server's or the client's.
		# TYPE server_connections_refused_total counter
		server_connections_refused_total{limit="client",server="first"} 0
		server_connections_refused_total{limit="client",server="second"} 0
		server_connections_refused_total{limit="server",server="first"} 2
		server_connections_refused_total{limit="server",server="second"} 0
	`)
	open[0].Close()
	testenv.Eventually(t, "there is room again", func() bool { return connect(t, first) != nil })
	if got := l.warnings(); got != 1 {
		t.Errorf("%d warnings", got)
	}
}

func TestClientLimitCountsConnectionsToAllServers(t *testing.T) {
	t.Parallel()
	l := newTestLimiter(4)
	one, other, apart := serve(t, l.Limit("one", 100)), serve(t, l.Limit("other", 100)), serve(t, l.LimitTotal("apart", 100))
	open := connectAll(t, one, 3)
	if got := len(connectAll(t, other, 3)); len(open) != 3 || got != 1 {
		t.Fatalf("%d and %d connections are open, want 3 and 1", len(open), got)
	}
	if got := len(connectAll(t, apart, 6)); got != 6 {
		t.Errorf("a server without the limit by client holds %d", got)
	}
	l.expectMetrics(t, `
		# HELP server_connections Open connections by server.
		# TYPE server_connections gauge
		server_connections{server="apart"} 6
		server_connections{server="one"} 3
		server_connections{server="other"} 1
		# HELP server_connections_refused_total Connections closed at once, by server and by the limit that was reached: the server's or the client's.
		# TYPE server_connections_refused_total counter
		server_connections_refused_total{limit="client",server="apart"} 0
		server_connections_refused_total{limit="client",server="one"} 0
		server_connections_refused_total{limit="client",server="other"} 2
		server_connections_refused_total{limit="server",server="apart"} 0
		server_connections_refused_total{limit="server",server="one"} 0
		server_connections_refused_total{limit="server",server="other"} 0
	`)
	for _, conn := range open {
		conn.Close()
	}
	for range 3 {
		testenv.Eventually(t, "there is room for another one", func() bool { return connect(t, other) != nil })
	}
}

func TestExemptPeersAreLimitedByTheServerOnly(t *testing.T) {
	t.Parallel()
	l := newTestLimiter(1, "::ffff:127.0.0.0/104")
	addr := serve(t, l.Limit("http", 5))
	if got := len(connectAll(t, addr, 7)); got != 5 {
		t.Errorf("%d connections are open, want 5", got)
	}
}

func TestAcceptedConnectionKeepsTheMethodsOfTCP(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := newTestLimiter(1).Limit("tcp", 1)(inner)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(interface {
		io.ReaderFrom
		SetWriteBuffer(int) error
		CloseWrite() error
	}); !ok {
		t.Errorf("%T lacks them", conn)
	}
}
