package page

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// proxy stands between the browser and a service. It notes the requests, and injects faults.
type proxy struct {
	server  *httptest.Server
	forward http.Handler // to the service

	mu       sync.Mutex
	connect  context.Context // ends when the connections are cut
	sever    context.CancelFunc
	down     bool
	faults   []*fault
	requests []string // "METHOD /path?query" of each request, in order
	gone     []string // the same of the requests that the browser cancelled
}

// fault answers the requests that match a pattern of "METHOD /path?query" in the service's place.
type fault struct {
	pattern *regexp.Regexp
	answer  http.HandlerFunc
	remains int // how many requests it answers; below 0: all
}

func newProxy(addr string) *proxy {
	p := &proxy{}
	p.connect, p.sever = context.WithCancel(context.Background())
	target := &url.URL{Scheme: "http", Host: addr}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // forms are compared with their origin
		},
		ErrorLog: log.New(io.Discard, "", 0), // a cut connection is what the tests want
		// A service that is down looks as it does without a proxy.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, connect := p.note(r)
		defer p.noteEnd(connect, r)
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(connect, cancel)()
		if answer != nil {
			answer(w, r.WithContext(ctx))
			return
		}
		p.forward.ServeHTTP(w, r.WithContext(ctx))
	}))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Start()
	return p
}

func (p *proxy) url() string { return p.server.URL }

func (p *proxy) close() {
	p.cut()
	p.server.Close()
}

// note returns the fault for a request, or nil, and the context of the connections.
func (p *proxy) note(r *http.Request) (http.HandlerFunc, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return abort, p.connect
	}
	line := r.Method + " " + r.URL.RequestURI()
	p.requests = append(p.requests, line)
	for _, f := range p.faults {
		if f.remains != 0 && f.pattern.MatchString(line) {
			f.remains--
			return f.answer, p.connect
		}
	}
	return nil, p.connect
}

// noteEnd notes a request that the browser has cancelled.
func (p *proxy) noteEnd(connect context.Context, r *http.Request) {
	if r.Context().Err() == nil || connect.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, r.Method+" "+r.URL.RequestURI())
}

// cut ends all connections, streams too, and every new one until heal.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	p.sever()
	p.connect, p.sever = context.WithCancel(context.Background())
}

// drop ends all connections once, streams too.
func (p *proxy) drop() {
	p.cut()
	p.heal()
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// inject answers the next requests that match a pattern in the service's place: n of them, or all with n below 0,
// until remove is called or the test ends.
func (p *proxy) inject(t *testing.T, n int, pattern string, answer http.HandlerFunc) (remove func()) {
	t.Helper()
	f := &fault{regexp.MustCompile(pattern), answer, n}
	remove = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(other *fault) bool { return other == f })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f)
	t.Cleanup(remove)
	return remove
}

// hold keeps the next request that matches a pattern until the test calls release, or ends, and then has answer
// respond to it. entered receives one value when the request has come.
func (p *proxy) hold(t *testing.T, pattern string, answer http.HandlerFunc) (entered <-chan struct{}, release func()) {
	t.Helper()
	came, released := make(chan struct{}, 1), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	p.inject(t, 1, pattern, func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		select {
		case <-released:
		case <-r.Context().Done():
		}
		answer(w, r)
	})
	return came, release
}

// abort ends a connection without a response.
func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// count returns how many requests matched a pattern since reset.
func (p *proxy) count(pattern string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return countMatches(p.requests, pattern)
}

// countCancelled returns how many requests that matched a pattern the browser has cancelled since reset.
func (p *proxy) countCancelled(pattern string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return countMatches(p.gone, pattern)
}

func countMatches(lines []string, pattern string) (n int) {
	expression := regexp.MustCompile(pattern)
	for _, line := range lines {
		if expression.MatchString(line) {
			n++
		}
	}
	return n
}

// reset heals the proxy and forgets faults and requests.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.faults, p.requests, p.gone = false, nil, nil, nil
}

// problem answers with a problem document as the API does, and with headers in pairs.
func problem(status int, text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": text, "error": text, "request_id": "0199",
		})
	}
}
