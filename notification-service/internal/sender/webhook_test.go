package sender_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/todo/notification-service/internal/notify"
)

func TestWebhookRequestIsAsDocumented(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, respond(http.StatusNoContent))
	webhook, _ := openWebhook(t, settings(r.URL+"/hooks?to=me"))
	if err := webhook.Send(t.Context(), learnGo); err != nil {
		t.Fatal(err)
	}
	got := r.requests()[0]
	if got.method != "POST" || got.path != "/hooks?to=me" {
		t.Errorf("%s %s", got.method, got.path)
	}
	for header, want := range map[string]string{
		"Content-Type":    "application/json",
		"User-Agent":      "todo-notification-service",
		"Idempotency-Key": learnGo.EventID,
		"Webhook-Id":      learnGo.EventID,
		"Traceparent":     learnGo.Traceparent,
	} {
		if values := got.header.Values(header); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q, want %q", header, values, want)
		}
	}
	const want = `{"type":"task.completed","timestamp":"2026-01-15T10:00:00Z","data":{` +
		`"event_id":"019bc119-ebdb-7d15-a4c7-9be2f8061d03","task_id":7,"task_title":"Learn Go",` +
		`"message":"Notification: Task 'Learn Go' has been completed!"}}`
	if diff := cmp.Diff(want, string(got.body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestWebhookSignatureVerifies(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, respond(http.StatusOK))
	webhook, _ := openWebhook(t, settings(r.URL))
	if err := webhook.Send(t.Context(), learnGo); err != nil {
		t.Fatal(err)
	}
	got := r.requests()[0]
	verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("by the library: %v", err)
	}
	// The same by the specification, without the library.
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "."))
	mac.Write(got.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("webhook-signature") != want {
		t.Errorf("signature %q, want %q", got.header.Get("webhook-signature"), want)
	}
	got.body[len(got.body)-3] ^= 1
	if verifier.Verify(got.body, got.header) == nil {
		t.Error("another body has the same signature")
	}
}

// Any id of a producer must make a valid request, and two ids must not make one key.
func TestWebhookSendsAnyIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, respond(http.StatusOK))
	webhook, _ := openWebhook(t, settings(r.URL))
	seen := map[string]bool{}
	keys := []string{"task.completed:7", "a b", "a+b", "a%20b", "a\r\nX-Evil: 1", "ключ", "\x00", " a b"}
	for i, key := range keys {
		if err := webhook.Send(t.Context(), notify.Notification{IdempotencyKey: key, Traceparent: "invalid\n", CompletedAt: learnGo.CompletedAt}); err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		got := r.requests()[i].header
		sent := got.Get("Idempotency-Key")
		if seen[sent] || sent != got.Get("webhook-id") || got.Get("X-Evil") != "" || got.Get("traceparent") != "" {
			t.Errorf("%q became %v", key, got)
		}
		seen[sent] = true
	}
	if !seen["task.completed:7"] {
		t.Error("a dedup key was changed")
	}
}

func TestWebhookClassifiesTheResponseStatus(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		codes    []int
		outcome  string
		rejected bool
	}{
		"accepted":        {[]int{200, 201, 202, 204}, "delivered", false},
		"rejected":        {[]int{400, 401, 403, 404, 409, 410, 413, 422}, "refused", true},
		"retry requested": {[]int{408, 425, 429}, "retryable", false},
		"server error":    {[]int{500, 501, 502, 503, 504}, "retryable", false},
		"redirect":        {[]int{300, 301, 302, 303, 304, 307, 308}, "retryable", false},
		"unknown status":  {[]int{600, 999}, "retryable", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, code := range test.codes {
				redirectTarget := startReceiver(t, respond(http.StatusOK))
				r := startReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", redirectTarget.URL)
					w.WriteHeader(code)
				})
				webhook, registry := openWebhook(t, settings(r.URL))
				err := webhook.Send(t.Context(), learnGo)
				if (err == nil) != (test.outcome == "delivered") || errors.Is(err, notify.ErrRejected) != test.rejected {
					t.Errorf("%d: %v", code, err)
				}
				if err != nil && (strings.Contains(err.Error(), r.URL) || !strings.Contains(err.Error(), http.StatusText(code))) {
					t.Errorf("%d: the error is %q", code, err)
				}
				if code/100 == 3 && !strings.Contains(err.Error(), "redirects are not followed") {
					t.Errorf("%d: the error does not name redirects: %v", code, err)
				}
				if len(redirectTarget.requests()) != 0 {
					t.Errorf("%d: the redirect was followed", code)
				}
				if got := count(t, registry, test.outcome); got != 1 {
					t.Errorf("%d: %v counted as %s, want 1", code, got, test.outcome)
				}
			}
		})
	}
}

func TestWebhookResendsUnderTheSameKeyAfterACutResponse(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := startReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts > 1 {
			return
		}
		conn, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		out.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so mu")
		out.Flush()
	})
	webhook, registry := openWebhook(t, settings(r.URL))
	err := webhook.Send(t.Context(), learnGo)
	if err == nil || errors.Is(err, notify.ErrRejected) || !strings.Contains(err.Error(), "cut off") {
		t.Fatalf("got %v, want a response that was cut off", err)
	}
	if strings.Contains(err.Error(), "only so mu") {
		t.Errorf("the error shows the response: %v", err)
	}
	if err := webhook.Send(t.Context(), learnGo); err != nil {
		t.Fatal(err)
	}
	got := r.requests()
	if len(got) != 2 || got[0].header.Get("Idempotency-Key") != got[1].header.Get("Idempotency-Key") || string(got[0].body) != string(got[1].body) {
		t.Errorf("the second attempt differs: %v", got)
	}
	if unreachable, delivered := count(t, registry, "unreachable"), count(t, registry, "delivered"); unreachable != 1 || delivered != 1 {
		t.Errorf("%v unreachable, %v delivered; want 1 and 1", unreachable, delivered)
	}
}

func TestWebhookTimesOutWhenTheReceiverHangs(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w http.ResponseWriter){
		"before the response": func(http.ResponseWriter) {},
		"in the response": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		},
	}
	for name, respond := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, func(w http.ResponseWriter, req *http.Request) {
				respond(w)
				<-req.Context().Done() // until the client disconnects
			})
			cfg := settings(r.URL)
			cfg.Timeout = 50 * time.Millisecond
			webhook, registry := openWebhook(t, cfg)
			start := time.Now()
			if err := webhook.Send(t.Context(), learnGo); err == nil || errors.Is(err, notify.ErrRejected) {
				t.Errorf("got %v, want a retryable error", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v, the timeout is %v", took, cfg.Timeout)
			}
			if got := count(t, registry, "unreachable"); got != 1 {
				t.Errorf("%v unreachable, want 1", got)
			}
		})
	}
}

// A response without an end costs neither memory nor the whole timeout.
func TestWebhookReadsABoundedPartOfTheResponse(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		out := bufio.NewWriterSize(w, 32<<10)
		for req.Context().Err() == nil {
			if _, err := out.WriteString(strings.Repeat("more ", 1000)); err != nil {
				return
			}
		}
	})
	webhook, registry := openWebhook(t, settings(r.URL))
	if err := webhook.Send(t.Context(), learnGo); err != nil {
		t.Error(err)
	}
	if got := count(t, registry, "delivered"); got != 1 {
		t.Errorf("%v delivered, want 1", got)
	}
}

func count(t *testing.T, registry *prometheus.Registry, outcome string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "notification_webhook_requests_total" && metric.GetLabel()[0].GetValue() == outcome {
				return metric.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("the metric has no outcome %s", outcome)
	return 0
}
