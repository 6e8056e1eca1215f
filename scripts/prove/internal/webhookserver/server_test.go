package webhookserver_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/webhookserver"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func listen(t *testing.T, seed int64) *webhookserver.Server {
	t.Helper()
	s, err := webhookserver.Listen(t.Context(), "127.0.0.1:0", secret, seed)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// deliver sends one webhook by the specification, modified by spoil. It returns the status, 0
// without a response.
func deliver(t *testing.T, s *webhookserver.Server, key string, spoil func(*http.Request)) int {
	t.Helper()
	body := fmt.Sprintf(`{"type":"task.completed","timestamp":"2026-01-15T10:00:00Z","data":{"event_id":%q,"task_id":7,"task_title":"Learn Go"}}`, key)
	req, err := http.NewRequest(http.MethodPost, s.URL(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%d.%s", key, 1768471200, body)
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("webhook-id", key)
	req.Header.Set("webhook-timestamp", "1768471200")
	req.Header.Set("webhook-signature", "v1,AAAA v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if spoil != nil {
		spoil(req)
	}
	// Without keep-alive, because net/http repeats a keyed request by itself on a reused
	// connection.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestServerRecordsADelivery(t *testing.T) {
	t.Parallel()
	s := listen(t, 1)
	before := time.Now()
	if status := deliver(t, s, "first", nil); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	got := s.Deliveries()
	if len(got) != 1 || s.AcceptedKeys() != 1 || got[0].At.Before(before) {
		t.Fatalf("received %+v", got)
	}
	want := history.Delivery{At: got[0].At, Key: "first", TaskID: 7, Title: "Learn Go", SignatureValid: true, Status: http.StatusNoContent}
	if got[0] != want {
		t.Errorf("received %+v, want %+v", got[0], want)
	}
}

func TestServerRefusesAndRecordsInvalidSignatures(t *testing.T) {
	t.Parallel()
	s := listen(t, 1)
	spoilers := []func(*http.Request){
		func(r *http.Request) { r.Header.Del("webhook-signature") },
		func(r *http.Request) { r.Header.Set("webhook-id", "another") },
		func(r *http.Request) { r.Header.Set("webhook-timestamp", "1768471201") },
		func(r *http.Request) { r.Header.Set("webhook-timestamp", "yesterday") },
		func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 },
	}
	for i, spoil := range spoilers {
		if status := deliver(t, s, fmt.Sprint(i), spoil); status != http.StatusBadRequest {
			t.Errorf("case %d: status %d", i, status)
		}
	}
	got := s.Deliveries()
	if len(got) != len(spoilers) || s.AcceptedKeys() != 0 {
		t.Fatalf("%d received, %d counted", len(got), s.AcceptedKeys())
	}
	for i, d := range got {
		if d.SignatureValid || d.Status != http.StatusBadRequest {
			t.Errorf("case %d: %+v", i, d)
		}
	}
}

func TestServerMisbehavesForSomeKeysButAcceptsEachEventually(t *testing.T) {
	t.Parallel()
	s := listen(t, 1)
	const keys = 1500
	responses := map[int]int{}
	for i := range keys {
		key := fmt.Sprint("key-", i)
		tries := 0
		for status := -1; status != http.StatusNoContent; tries++ {
			if tries == 5 {
				t.Fatalf("%s is never accepted", key)
			}
			status = deliver(t, s, key, nil)
			responses[status]++
		}
	}
	if responses[503] < 5 || responses[503] > 50 || responses[0] < 1 || responses[0] > 20 {
		t.Errorf("responses by status: %v", responses)
	}
	if s.AcceptedKeys() != keys || len(s.Deliveries()) != responses[204]+responses[503]+responses[0] {
		t.Errorf("%d keys, %d deliveries; responses %v", s.AcceptedKeys(), len(s.Deliveries()), responses)
	}
}
