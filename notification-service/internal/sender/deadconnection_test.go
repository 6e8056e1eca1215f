package sender_test

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

// The receiver's host, or a load balancer before it, may disappear without closing the connection.
func TestWebhookReplacesADeadConnection(t *testing.T) {
	t.Parallel()
	protocols := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := startFreezingProxy(t, server.Listener.Addr().String())
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	cfg := settings(strings.Replace(server.URL, server.Listener.Addr().String(), proxy.address(), 1))
	cfg.Timeout = 500 * time.Millisecond
	webhook, _ := openWebhook(t, cfg)
	webhook.Trust(authorities)
	testenv.Eventually(t, "the first notification", func() bool { return webhook.Send(t.Context(), learnGo) == nil })
	if got := <-protocols; got != "HTTP/2.0" {
		t.Fatalf("it was sent by %s", got)
	}
	proxy.freeze()
	testenv.Eventually(t, "a new connection", func() bool { return webhook.Send(t.Context(), learnGo) == nil })
}

// freezingProxy forwards connections. freeze drops all bytes of the present ones, which
// stay open; new ones work.
type freezingProxy struct {
	listener net.Listener

	mu    sync.Mutex
	conns []*proxiedConn
}

type proxiedConn struct {
	mu     sync.Mutex
	frozen bool
	ends   [2]net.Conn
}

func startFreezingProxy(t *testing.T, address string) *freezingProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &freezingProxy{listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				_ = client.Close()
				continue
			}
			p := &proxiedConn{ends: [2]net.Conn{client, server}}
			r.mu.Lock()
			r.conns = append(r.conns, p)
			r.mu.Unlock()
			serving.Go(func() { _, _ = io.Copy(p.writerTo(server), client) })
			serving.Go(func() { _, _ = io.Copy(p.writerTo(client), server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		for _, p := range r.conns {
			_, _ = p.ends[0].Close(), p.ends[1].Close()
		}
		r.mu.Unlock()
		serving.Wait()
	})
	return r
}

func (r *freezingProxy) address() string { return r.listener.Addr().String() }

// freeze freezes the present connections.
func (r *freezingProxy) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.conns {
		p.mu.Lock()
		p.frozen = true
		p.mu.Unlock()
	}
}

// writerTo returns a writer to one end that drops the bytes while p is frozen.
func (p *proxiedConn) writerTo(end net.Conn) io.Writer { return dropWhenFrozen{p, end} }

type dropWhenFrozen struct {
	conn *proxiedConn
	end  net.Conn
}

func (d dropWhenFrozen) Write(b []byte) (int, error) {
	d.conn.mu.Lock()
	frozen := d.conn.frozen
	d.conn.mu.Unlock()
	if frozen {
		return len(b), nil
	}
	return d.end.Write(b)
}
