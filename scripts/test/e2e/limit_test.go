package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRequestBeyondTheLimitIsRejectedUntilTheWindowSlides(t *testing.T) {
	limit, window := limit()
	from, addr, headers := system.limitedClient()
	client, url, u := system.clientFrom(from), system.url("TODO_HTTP_ADDR", "/tasks?limit=1"), system.user(t)
	requests, unchecked := 0, 0 // of the unchecked ones it is not known whether they count
	ask := func() answer {
		for {
			requests++
			a := request(t, client, http.MethodGet, url, "", append(u.header(), headers(requests)...)...)
			if !isUnchecked(a) {
				return a
			}
			unchecked++
		}
	}

	began := time.Now()
	for i := range limit {
		if i+unchecked >= limit {
			break
		}
		a := ask()
		if a.status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i+1, a.status, a.body)
		}
		var left int
		_, err := fmt.Sscanf(a.header.Get("RateLimit"), `"default";r=%d;t=`, &left)
		if most := limit - 1 - i; err != nil || left > most || left < most-unchecked {
			t.Errorf("request %d: RateLimit %q, want r=%d", i+1, a.header.Get("RateLimit"), most)
		}
	}
	refused := ask()
	for range unchecked {
		if refused.status == http.StatusOK {
			refused = ask()
		}
	}
	if time.Since(began) > window {
		t.Fatalf("spending the budget took longer than its window of %v: nothing is shown", window)
	}
	problem := decode[struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
	}](t, refused, http.StatusTooManyRequests)
	if problem.Error != "too many requests" || problem.Status != http.StatusTooManyRequests {
		t.Errorf("refusal: %s", refused.body)
	}
	if policy := refused.header.Get("RateLimit-Policy"); policy != fmt.Sprintf(`"default";q=%d;w=%d`, limit, int(window.Seconds())) {
		t.Errorf("RateLimit-Policy: %s", policy)
	}
	after, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if err != nil || after < 1 || after > int(window.Seconds()) {
		t.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
	}

	key := u.limitKey(addr)
	ttl, err := redisClient(t).PTTL(t.Context(), key).Result()
	if err != nil || ttl <= 0 || ttl > window+time.Millisecond {
		t.Errorf("redis pttl %s = %v, %v", key, ttl, err)
	}

	var passed time.Time
	eventually(t, 2*window, func() error {
		a := ask()
		// Without an answer of Redis in time the request is not limited; the header then says t=0.
		if limited := !strings.HasSuffix(a.header.Get("RateLimit"), ";t=0"); a.status != http.StatusOK || !limited {
			return fmt.Errorf("still %d, RateLimit %q", a.status, a.header.Get("RateLimit"))
		}
		passed = time.Now()
		return nil
	})
	if waited := passed.Sub(began); waited < window-100*time.Millisecond {
		t.Errorf("passed again after %v, before the window of %v had slid", waited, window)
	}
}

func TestRefusedRequestsWithoutASessionCountForTheirAddress(t *testing.T) {
	requireSignIn(t)
	limit, window := limit()
	addr := unseenAddr()
	refused := func() answer { return callAs(t, user{}, http.MethodGet, "/tasks", "", "X-Forwarded-For", addr) }
	for i := range limit {
		if a := refused(); a.status != http.StatusUnauthorized {
			t.Fatalf("request %d: %d %s", i+1, a.status, a.body)
		}
	}
	eventually(t, window, func() error { // a request does not count if Redis answers late
		if a := refused(); a.status != http.StatusTooManyRequests {
			return fmt.Errorf("beyond the limit: %d %s", a.status, a.body)
		}
		return nil
	})
	if n, err := redisClient(t).Exists(t.Context(), user{}.limitKey(addr)).Result(); err != nil || n != 1 {
		t.Errorf("redis exists %s = %d, %v", user{}.limitKey(addr), n, err)
	}
}
