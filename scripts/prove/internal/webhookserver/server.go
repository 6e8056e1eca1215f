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

// maxBodyBytes is how much of a request's body is read.
const maxBodyBytes = 1 << 20

// Server receives webhooks.
type Server struct {
	listener net.Listener
	secret   []byte
	seed     int64

	mu         sync.Mutex
	deliveries []history.Delivery
	attempts   map[string]int // by key
	accepted   map[string]bool
}

// Listen binds a provider. secret is the one that signs, "whsec_" and base64; the
// seed decides which keys it misbehaves on.
func Listen(ctx context.Context, addr, secret string, seed int64) (*Server, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, errors.New("provider: the secret is not whsec_ and base64")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return &Server{listener: listener, secret: key, seed: seed, attempts: map[string]int{}, accepted: map[string]bool{}}, nil
}

// URL is where to send webhooks.
func (p *Server) URL() string { return "http://" + p.listener.Addr().String() + "/webhook" }

// Run receives until ctx ends.
func (p *Server) Run(ctx context.Context) error {
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("provider: %w", err)
	}
	return nil
}

// Deliveries returns all deliveries so far, in the order of their arrival.
func (p *Server) Deliveries() []history.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]history.Delivery(nil), p.deliveries...)
}

// AcceptedKeys returns how many different keys were answered with success.
func (p *Server) AcceptedKeys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.accepted)
}

// LastDeliveryAt returns when the last delivery arrived, or the zero time.
func (p *Server) LastDeliveryAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deliveries) == 0 {
		return time.Time{}
	}
	return p.deliveries[len(p.deliveries)-1].At
}

// ServeHTTP receives one delivery: it is written down first and answered then.
func (p *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil { // not a delivery: it never arrived as a whole
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d := history.Delivery{At: time.Now(), Key: r.Header.Get("Idempotency-Key"), SignatureValid: hasValidSignature(p.secret, r.Header, body)}
	var hook struct {
		Data struct {
			TaskID    int64  `json:"task_id"`
			TaskTitle string `json:"task_title"`
		} `json:"data"`
	}
	readable := json.Unmarshal(body, &hook) == nil
	d.TaskID, d.Title = hook.Data.TaskID, hook.Data.TaskTitle
	number, m := p.record(d, readable)
	if !wait(r.Context(), m.delay) || m.status == 0 {
		panic(http.ErrAbortHandler) // closes the connection, without an answer
	}
	p.recordStatus(number, m.status)
	w.WriteHeader(m.status)
}

// record keeps a delivery that has no answer yet, decides on one, and returns the
// delivery's number.
func (p *Server) record(d history.Delivery, readable bool) (int, behavior) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := behaviorFor(p.seed, d.Key, p.attempts[d.Key])
	p.attempts[d.Key]++
	if d.Key == "" || !d.SignatureValid || !readable {
		m = behavior{status: http.StatusBadRequest}
	}
	p.deliveries = append(p.deliveries, d)
	return len(p.deliveries) - 1, m
}

// recordStatus notes the answer, which the sender is still there to hear.
func (p *Server) recordStatus(number, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.deliveries[number]
	d.Status = status
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
