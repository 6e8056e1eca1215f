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

// A receiver's host, or a load balancer before it, can go away without a word.
func TestADeadConnectionIsNotUsedForEver(t *testing.T) {
	t.Parallel()
	protocols := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	way := relayTo(t, server.Listener.Addr().String())
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	cfg := settings(strings.Replace(server.URL, server.Listener.Addr().String(), way.address(), 1))
	cfg.Timeout = 500 * time.Millisecond
	webhook, _ := open(t, cfg)
	webhook.Trust(authorities)
	testenv.Eventually(t, "the first notification", func() bool { return webhook.Send(t.Context(), learnGo) == nil })
	if got := <-protocols; got != "HTTP/2.0" {
		t.Fatalf("it was sent by %s", got)
	}
	way.freeze()
	testenv.Eventually(t, "a new connection", func() bool { return webhook.Send(t.Context(), learnGo) == nil })
}

// relay passes bytes on, until what it has is frozen: then its connections stay
// open and carry nothing any more. New ones do.
type relay struct {
	listener net.Listener

	mu    sync.Mutex
	pairs []*pair
}

type pair struct {
	mu     sync.Mutex
	frozen bool
	ends   [2]net.Conn
}

func relayTo(t *testing.T, address string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			p := &pair{ends: [2]net.Conn{near, far}}
			r.mu.Lock()
			r.pairs = append(r.pairs, p)
			r.mu.Unlock()
			serving.Go(func() { _, _ = io.Copy(p.to(far), near) })
			serving.Go(func() { _, _ = io.Copy(p.to(near), far) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		for _, p := range r.pairs {
			_, _ = p.ends[0].Close(), p.ends[1].Close()
		}
		r.mu.Unlock()
		serving.Wait()
	})
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// freeze freezes the connections that there are.
func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pairs {
		p.mu.Lock()
		p.frozen = true
		p.mu.Unlock()
	}
}

// to is the one end, which loses what is written to it while the pair is frozen.
func (p *pair) to(end net.Conn) io.Writer { return lossy{p, end} }

type lossy struct {
	pair *pair
	end  net.Conn
}

func (l lossy) Write(b []byte) (int, error) {
	l.pair.mu.Lock()
	frozen := l.pair.frozen
	l.pair.mu.Unlock()
	if frozen {
		return len(b), nil
	}
	return l.end.Write(b)
}
