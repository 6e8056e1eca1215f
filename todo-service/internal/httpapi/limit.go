package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"example.com/todo/platform/fault"
	"example.com/todo/platform/httpserver"
)

// limited counts each request against its client's budget and says in each
// answer what is left of it, in the fields of
// draft-ietf-httpapi-ratelimit-headers-10: requests left (r), and the seconds
// until some that were spent come back (t). An uncounted request spent none.
func limited(next http.Handler, limiter Limiter, peers Peers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		budget := limiter.Allow(r.Context(), peers.FromHTTP(r))
		header := w.Header()
		header.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, budget.Limit, seconds(budget.Window)))
		header.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, budget.Remaining, seconds(budget.Reset)))
		if !budget.Allowed {
			refusal := fault.New(fault.Exhausted, "too many requests")
			refusal.RetryAfter = budget.RetryAfter
			httpserver.WriteProblem(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// seconds rounds up, so that who waits that long has waited long enough.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
