package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestEleventhRequestOfAnAddressIsRejectedUntilTheWindowSlides(t *testing.T) {
	client, addr, headers := system.limitedClient()
	url := "http://" + system.address("TODO_HTTP_ADDR") + "/tasks?limit=1"
	requests := 0
	ask := func() answer {
		requests++
		return request(t, client, http.MethodGet, url, "", headers(requests)...)
	}

	began := time.Now()
	for i := range limitRequests {
		a := ask()
		if a.status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i+1, a.status, a.body)
		}
		if want := fmt.Sprintf(`"default";r=%d;t=`, limitRequests-1-i); !strings.HasPrefix(a.header.Get("RateLimit"), want) {
			t.Errorf("request %d: RateLimit %q, want %s…", i+1, a.header.Get("RateLimit"), want)
		}
	}
	refused := ask()
	if time.Since(began) > limitWindow {
		t.Fatalf("spending the budget took longer than its window of %v: nothing is shown", limitWindow)
	}
	problem := decode[struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
	}](t, refused, http.StatusTooManyRequests)
	if problem.Error != "too many requests" || problem.Status != http.StatusTooManyRequests {
		t.Errorf("refusal: %s", refused.body)
	}
	if policy := refused.header.Get("RateLimit-Policy"); policy != fmt.Sprintf(`"default";q=%d;w=%d`, limitRequests, int(limitWindow.Seconds())) {
		t.Errorf("RateLimit-Policy: %s", policy)
	}
	after, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if err != nil || after < 1 || after > int(limitWindow.Seconds()) {
		t.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
	}

	ttl, err := redisClient(t).PTTL(t.Context(), "ratelimit:"+addr).Result()
	if err != nil || ttl <= 0 || ttl > limitWindow+time.Millisecond {
		t.Errorf("redis pttl ratelimit:%s = %v, %v", addr, ttl, err)
	}

	var passed time.Time
	eventually(t, 2*limitWindow, func() error {
		a := ask()
		// Without an answer of Redis in time the request is not limited; the header then says t=0.
		if limited := !strings.HasSuffix(a.header.Get("RateLimit"), ";t=0"); a.status != http.StatusOK || !limited {
			return fmt.Errorf("still %d, RateLimit %q", a.status, a.header.Get("RateLimit"))
		}
		passed = time.Now()
		return nil
	})
	if waited := passed.Sub(began); waited < limitWindow-100*time.Millisecond {
		t.Errorf("passed again after %v, before the window of %v had slid", waited, limitWindow)
	}
}
