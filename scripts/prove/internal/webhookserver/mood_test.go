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

func TestASenderThatLeavesBeforeALateAnswerHasNone(t *testing.T) {
	t.Parallel()
	const seed = 1
	n := 0
	for moodFor(seed, strconv.Itoa(n), 0).slow < latest/2 {
		n++
	}
	p := &Provider{secret: []byte("x"), seed: seed, tries: map[string]int{}, accepted: map[string]bool{}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhook", strings.NewReader("{}"))
	req.Header.Set("Idempotency-Key", strconv.Itoa(n))
	req.Header.Set("Webhook-Id", "1")
	req.Header.Set("Webhook-Timestamp", "1")
	req.Header.Set("Webhook-Signature", signature(p.secret, "1", "1", []byte("{}")))
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("the handler ended with %v", err)
			}
		}()
		p.ServeHTTP(httptest.NewRecorder(), req)
	}()
	if got := p.Received(); len(got) != 1 || !got[0].Signed || got[0].Answered != 0 || p.Count() != 0 {
		t.Errorf("received %+v, counted %d", got, p.Count())
	}
}
