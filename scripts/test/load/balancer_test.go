package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync/atomic"
	"testing"
	"time"
)

// balancer is a load balancer as there are many: it asks each replica now and then
// whether it is ready, sends requests in turn to those that were, and repeats none.
type balancer struct {
	*httptest.Server
	backends []*backend
	turn     atomic.Int64
}

type backend struct {
	*replica
	ready atomic.Bool
}

// balance stands before the replicas, and asks them every so often.
func balance(t *testing.T, every time.Duration, replicas ...*replica) *balancer {
	t.Helper()
	b := &balancer{}
	for _, r := range replicas {
		b.backends = append(b.backends, &backend{replica: r})
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", b.next() },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}
	b.Server = httptest.NewServer(proxy)
	t.Cleanup(b.Close)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go b.probe(ctx, every)
	return b
}

func (b *balancer) probe(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, one := range b.backends {
			one.ready.Store(one.replica.ready())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// next is the address of the next replica that is ready, or of nobody.
func (b *balancer) next() string {
	first := int(b.turn.Add(1))
	for i := range b.backends {
		one := b.backends[(first+i)%len(b.backends)]
		if one.ready.Load() {
			return one.http
		}
	}
	return "127.0.0.1:1"
}

func (b *balancer) all() bool {
	for _, one := range b.backends {
		if !one.ready.Load() {
			return false
		}
	}
	return true
}
