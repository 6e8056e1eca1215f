package httpapi_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/ratelimit"
)

func TestEveryResponseHasTheRateLimitHeaders(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"A"}`)
	for _, request := range []struct{ method, target string }{
		{"GET", "/tasks"}, {"GET", "/tasks/1"}, {"GET", "/tasks/9"}, {"GET", "/nope"}, {"PUT", "/tasks"}, {"DELETE", "/tasks/1"},
	} {
		wantHeader(t, s.request(request.method, request.target, ""), map[string]string{
			"RateLimit-Policy": `"default";q=60;w=60`,
			"RateLimit":        `"default";r=59;t=12`,
			"Retry-After":      "",
		})
	}
}

func TestARequestOverTheRateLimitIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.limiter.decision = ratelimit.Decision{Limit: 10, Window: 90 * time.Second, Reset: 30 * time.Second, RetryAfter: 2100 * time.Millisecond}
	before := s.dumpStore(t)
	response := s.request("POST", "/tasks", `{"title":"A"}`)
	p := wantProblem(t, response, http.StatusTooManyRequests)
	if p.Error != "too many requests" || !strings.Contains(p.Detail, "try again in 3 s") {
		t.Errorf("error %q, detail %q", p.Error, p.Detail)
	}
	wantHeader(t, response, map[string]string{
		"RateLimit-Policy": `"default";q=10;w=90`,
		"RateLimit":        `"default";r=0;t=30`,
		"Retry-After":      "3",
	})
	if s.dumpStore(t) != before {
		t.Error("it changed something")
	}
}

// A limiter that cannot count reports the whole limit as remaining.
func TestAnUncountedRequestPassesWithTheWholeLimitRemaining(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.limiter.decision = ratelimit.Decision{Allowed: true, Limit: 60, Window: time.Minute, Remaining: 60}
	response := s.request("GET", "/tasks", "")
	if response.Status != http.StatusOK {
		t.Error(response.Status)
	}
	wantHeader(t, response, map[string]string{"RateLimit-Policy": `"default";q=60;w=60`, "RateLimit": `"default";r=60;t=0`})
}

func TestTheLimiterCountsEachRequestOnceByClientAddress(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for _, request := range []struct{ remote, forwarded string }{
		{"203.0.113.7:1000", ""}, {"203.0.113.7:2000", "6.6.6.6"}, {"10.0.0.1:3000", "198.51.100.4"},
	} {
		s.requestFrom(request.remote, "GET", "/tasks", "X-Forwarded-For", request.forwarded)
	}
	if diff := cmp.Diff([]string{"203.0.113.7", "203.0.113.7", "198.51.100.4"}, s.limiter.clients); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
}

// Without a trusted proxy the header is ignored. Behind one, the last entry counts, which
// the proxy itself wrote.
func TestForgedForwardingHeadersShareOneRateLimit(t *testing.T) {
	t.Parallel()
	for remote, last := range map[string]string{"203.0.113.7:1000": "", "10.0.0.1:3000": ", 203.0.113.7"} {
		s := newFixture()
		for i := range 10_000 {
			forged := netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 1, 1}).String()
			s.requestFrom(remote, "GET", "/nope", "X-Forwarded-For", forged+last)
		}
		slices.Sort(s.limiter.clients)
		if got := slices.Compact(s.limiter.clients); !slices.Equal(got, []string{"203.0.113.7"}) {
			t.Errorf("from %s: %d clients were counted, want 203.0.113.7 alone", remote, len(got))
		}
	}
}
