package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/todo/notification-service/internal/app"
)

// receiver is a webhook receiver that calls first for the first request of each key.
type receiver struct {
	*httptest.Server
	first func(http.ResponseWriter)

	mu   sync.Mutex
	keys []string
	seen map[string]bool
}

func startReceiver(t *testing.T, secret string, first func(http.ResponseWriter)) *receiver {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{first: first, seen: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = verifier.Verify(body, req.Header)
		}
		if err != nil {
			t.Error(err)
		}
		if r.record(req.Header.Get("Idempotency-Key")) {
			r.first(w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) record(key string) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
	first = !r.seen[key]
	r.seen[key] = true
	return first
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.keys...)
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

func settingsWithWebhook(t *testing.T, url string) app.Config {
	t.Helper()
	cfg := settingsWithServers(t)
	cfg.Webhook.URL, cfg.Webhook.Secret, cfg.Webhook.AllowPrivate = url, secret, true
	return cfg
}

func TestServiceRetriesTheWebhookUntilItDelivers(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(http.ResponseWriter){
		"server error":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"redirect":            func(w http.ResponseWriter) { w.WriteHeader(http.StatusMovedPermanently) },
		"rejected":            func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnprocessableEntity) },
		"closed connection":   func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"incomplete response": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); _, _ = w.Write([]byte("half")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, secret, first)
			cfg := settingsWithWebhook(t, r.URL)
			stop := serve(t, cfg)
			sendCompletions(t, cfg, "e1", "e2")
			awaitSent(t, cfg, "e2")
			if diff := cmp.Diff([]string{"e1", "e1", "e2", "e2"}, r.got()); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if text := metricsOf(t, cfg); !strings.Contains(text, `notification_webhook_requests_total{outcome="delivered"} 2`) {
				t.Error("2 deliveries are not counted")
			}
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestNextProcessDoesNotResendADeliveredNotification(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, secret, func(http.ResponseWriter) {})
	cfg := settingsWithWebhook(t, r.URL)
	stop := serve(t, cfg)
	sendCompletions(t, cfg, "e1")
	awaitSent(t, cfg, "e1")
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	serve(t, cfg)
	sendCompletions(t, cfg, "e1", "e2")
	awaitSent(t, cfg, "e2")
	if diff := cmp.Diff([]string{"e1", "e2"}, r.got()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func metricsOf(t *testing.T, cfg app.Config) string {
	t.Helper()
	answer, err := http.Get("http://" + cfg.Ops.Addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
