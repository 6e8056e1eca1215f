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

// receiver takes webhooks, and answers the first of each key as it is told.
type receiver struct {
	*httptest.Server
	first func(http.ResponseWriter)

	mu   sync.Mutex
	keys []string
	seen map[string]bool
}

func receive(t *testing.T, secret string, first func(http.ResponseWriter)) *receiver {
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
		if r.note(req.Header.Get("Idempotency-Key")) {
			r.first(w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) note(key string) (first bool) {
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

func withWebhook(t *testing.T, url string) app.Config {
	t.Helper()
	cfg := onServers(t)
	cfg.Webhook.URL, cfg.Webhook.Secret, cfg.Webhook.AllowPrivate = url, secret, true
	return cfg
}

func TestAWebhookIsAskedAgainUntilItTakesTheNotification(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(http.ResponseWriter){
		"out of order":          func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"moved":                 func(w http.ResponseWriter) { w.WriteHeader(http.StatusMovedPermanently) },
		"refusing":              func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnprocessableEntity) },
		"dropping the line":     func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"answering half a word": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); _, _ = w.Write([]byte("half")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := receive(t, secret, first)
			cfg := withWebhook(t, r.URL)
			stop := serve(t, cfg)
			complete(t, cfg, "e1", "e2")
			done(t, cfg, "e2")
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

func TestWhatTheWebhookTookIsNotSentByTheNextProcess(t *testing.T) {
	t.Parallel()
	r := receive(t, secret, func(http.ResponseWriter) {})
	cfg := withWebhook(t, r.URL)
	stop := serve(t, cfg)
	complete(t, cfg, "e1")
	done(t, cfg, "e1")
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	serve(t, cfg)
	complete(t, cfg, "e1", "e2")
	done(t, cfg, "e2")
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
