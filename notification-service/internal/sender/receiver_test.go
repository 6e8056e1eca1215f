package sender_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/sender"
	"example.com/todo/platform/config"
)

const secret = config.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")

// learnGo is the notification that the tests send.
var learnGo = notify.Notification{
	IdempotencyKey: "019bc119-ebdb-7d15-a4c7-9be2f8061d03", EventID: "019bc119-ebdb-7d15-a4c7-9be2f8061d03",
	TaskID: 7, Title: "Learn Go", CompletedAt: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC),
	Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}

// buildRequest is what the receiver got.
type request struct {
	method string
	path   string
	header http.Header
	body   []byte
}

// receiver is an HTTP server that records its requests and calls a handler.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

func startReceiver(t *testing.T, handle http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, request{req.Method, req.URL.RequestURI(), req.Header, body})
		r.mu.Unlock()
		handle(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

func respond(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// settings returns the settings of a webhook to a receiver on this machine.
func settings(url string) sender.WebhookConfig {
	return sender.WebhookConfig{URL: url, Secret: secret, Timeout: 5 * time.Second, AllowPrivate: true}
}

func openWebhook(t *testing.T, cfg sender.WebhookConfig) (*sender.Webhook, *prometheus.Registry) {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	webhook, err := sender.NewWebhook(cfg, registry)
	if err != nil {
		t.Fatal(err)
	}
	return webhook, registry
}
