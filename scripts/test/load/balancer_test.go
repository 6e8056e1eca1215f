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

// balancer is a round-robin load balancer: it probes the readiness of each replica and does not retry requests.
type balancer struct {
	*httptest.Server
	backends []*backend
	turn     atomic.Int64
}

type backend struct {
	*replica
	ready atomic.Bool
}

// newBalancer starts a balancer that probes the replicas at an interval.
func newBalancer(t *testing.T, every time.Duration, replicas ...*replica) *balancer {
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

// next returns the address of the next ready replica, or "".
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
