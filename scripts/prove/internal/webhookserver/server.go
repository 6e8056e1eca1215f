// Package webhookserver is where a proof's notifications arrive: a receiver of signed
// webhooks that writes everything down, and that misbehaves now and then in the
// ways providers do.
package webhookserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// longest is how much of a request's body is read.
const longest = 1 << 20

// Provider receives webhooks.
type Provider struct {
	listener net.Listener
	secret   []byte
	seed     int64

	mu       sync.Mutex
	received []history.Delivery
	tries    map[string]int // by key
	accepted map[string]bool
}

// Listen binds a provider. secret is the one that signs, "whsec_" and base64; the
// seed decides which keys it misbehaves on.
func Listen(ctx context.Context, addr, secret string, seed int64) (*Provider, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, errors.New("provider: the secret is not whsec_ and base64")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return &Provider{listener: listener, secret: key, seed: seed, tries: map[string]int{}, accepted: map[string]bool{}}, nil
}

// URL is where to send webhooks.
func (p *Provider) URL() string { return "http://" + p.listener.Addr().String() + "/webhook" }

// Run receives until ctx ends.
func (p *Provider) Run(ctx context.Context) error {
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("provider: %w", err)
	}
	return nil
}

// Received returns all deliveries so far, in the order of their arrival.
func (p *Provider) Received() []history.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]history.Delivery(nil), p.received...)
}

// Count returns how many different keys were answered with success.
func (p *Provider) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.accepted)
}

// Last returns when the last delivery arrived, or the zero time.
func (p *Provider) Last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.received) == 0 {
		return time.Time{}
	}
	return p.received[len(p.received)-1].At
}

// ServeHTTP receives one delivery: it is written down first and answered then.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longest))
	if err != nil { // not a delivery: it never arrived as a whole
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d := history.Delivery{At: time.Now(), Key: r.Header.Get("Idempotency-Key"), Signed: signed(p.secret, r.Header, body)}
	var hook struct {
		Data struct {
			TaskID    int64  `json:"task_id"`
			TaskTitle string `json:"task_title"`
		} `json:"data"`
	}
	readable := json.Unmarshal(body, &hook) == nil
	d.TaskID, d.Title = hook.Data.TaskID, hook.Data.TaskTitle
	number, m := p.write(d, readable)
	if !wait(r.Context(), m.slow) || m.answer == 0 {
		panic(http.ErrAbortHandler) // closes the connection, without an answer
	}
	p.answered(number, m.answer)
	w.WriteHeader(m.answer)
}

// write keeps a delivery that has no answer yet, decides on one, and returns the
// delivery's number.
func (p *Provider) write(d history.Delivery, readable bool) (int, mood) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := moodFor(p.seed, d.Key, p.tries[d.Key])
	p.tries[d.Key]++
	if d.Key == "" || !d.Signed || !readable {
		m = mood{answer: http.StatusBadRequest}
	}
	p.received = append(p.received, d)
	return len(p.received) - 1, m
}

// answered notes the answer, which the sender is still there to hear.
func (p *Provider) answered(number, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.received[number]
	d.Answered = status
	if status == http.StatusNoContent {
		p.accepted[d.Key] = true
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
