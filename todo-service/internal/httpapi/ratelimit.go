package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
)

// limitRate responds 429 to requests over the client's rate limit. Every response has the
// headers of draft-ietf-httpapi-ratelimit-headers-10: requests left (r), and seconds until
// the oldest counted request leaves the window (t).
func (a *api) limitRate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decision := a.Allow(r.Context(), a.ClientIP(r))
		header := w.Header()
		header["Ratelimit-Policy"] = []string{fmt.Sprintf(`"default";q=%d;w=%d`, decision.Limit, ceilSeconds(decision.Window))}
		header["Ratelimit"] = []string{fmt.Sprintf(`"default";r=%d;t=%d`, decision.Remaining, ceilSeconds(decision.Reset))}
		if !decision.Allowed {
			err := apperr.New(apperr.RateLimited, "too many requests")
			err.RetryAfter = decision.RetryAfter
			httpserver.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ceilSeconds rounds up: a client that waits that many seconds has waited long enough.
func ceilSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
