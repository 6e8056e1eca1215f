package webhookserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestServerRecordsNoStatusWhenTheSenderLeavesFirst(t *testing.T) {
	t.Parallel()
	const seed = 1
	n := 0
	for behaviorFor(seed, strconv.Itoa(n), 0).delay < maxDelay/2 {
		n++
	}
	s, err := Listen(t.Context(), "127.0.0.1:0", "whsec_", seed)
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhook", strings.NewReader("{}"))
	signature, err := s.verifier.Sign("1", time.Unix(1, 0), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", strconv.Itoa(n))
	req.Header.Set("Webhook-Id", "1")
	req.Header.Set("Webhook-Timestamp", "1")
	req.Header.Set("Webhook-Signature", signature)
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("the handler ended with %v", err)
			}
		}()
		s.ServeHTTP(httptest.NewRecorder(), req)
	}()
	if got := s.Deliveries(); len(got) != 1 || !got[0].SignatureValid || got[0].Status != 0 || s.AcceptedKeys() != 0 {
		t.Errorf("received %+v, %d accepted", got, s.AcceptedKeys())
	}
}
