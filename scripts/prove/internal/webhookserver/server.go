// Package webhookserver implements a receiver of signed webhooks that records every delivery, and
// that misbehaves for some keys as real receivers do.
package webhookserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
)

// maxBodyBytes bounds a request's body.
const maxBodyBytes = 1 << 20

// Server receives webhooks. It is safe for concurrent use.
type Server struct {
	listener net.Listener
	verifier *standardwebhooks.Webhook
	seed     int64

	mu         sync.Mutex
	deliveries []history.Delivery
	attempts   map[string]int // by key
	accepted   map[string]bool
}

// Listen binds a server. The secret is that of Standard Webhooks; the seed decides for which keys
// the server misbehaves.
func Listen(ctx context.Context, addr, secret string, seed int64) (*Server, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("webhook server: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("webhook server: %w", err)
	}
	return &Server{listener: listener, verifier: verifier, seed: seed, attempts: map[string]int{}, accepted: map[string]bool{}}, nil
}

// URL is the address for webhooks.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/webhook" }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("webhook server: %w", err)
	}
	return nil
}

// Deliveries returns all deliveries so far, in the order of arrival.
func (s *Server) Deliveries() []history.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// AcceptedKeys returns the number of different keys with a 204 response.
func (s *Server) AcceptedKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

// ServeHTTP records one delivery and then responds.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil { // it did not arrive completely
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d := history.Delivery{
		At: time.Now(), Key: r.Header.Get("Idempotency-Key"),
		// A sender that was frozen may deliver late.
		SignatureValid: s.verifier.VerifyIgnoringTimestamp(body, r.Header) == nil,
	}
	var hook struct {
		Data struct {
			TaskID    int64  `json:"task_id"`
			TaskTitle string `json:"task_title"`
		} `json:"data"`
	}
	readable := json.Unmarshal(body, &hook) == nil
	d.TaskID, d.Title = hook.Data.TaskID, hook.Data.TaskTitle
	number, b := s.record(d, readable)
	if !retry.Wait(r.Context(), b.delay) || b.status == 0 {
		panic(http.ErrAbortHandler) // closes the connection without a response
	}
	s.recordStatus(number, b.status)
	w.WriteHeader(b.status)
}

// record adds a delivery without a response. It returns the delivery's number and how to respond.
func (s *Server) record(d history.Delivery, readable bool) (int, behavior) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := behaviorFor(s.seed, d.Key, s.attempts[d.Key])
	s.attempts[d.Key]++
	if d.Key == "" || !d.SignatureValid || !readable {
		b = behavior{status: http.StatusBadRequest}
	}
	s.deliveries = append(s.deliveries, d)
	return len(s.deliveries) - 1, b
}

// recordStatus adds the response of a delivery whose sender is still connected.
func (s *Server) recordStatus(number, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.deliveries[number]
	d.Status = status
	if status == http.StatusNoContent {
		s.accepted[d.Key] = true
	}
}
