package httpapi

import (
	"net/http"
	"strconv"
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
		// Every response has both headers, and fmt takes more than twice the time.
		header["Ratelimit-Policy"] = []string{`"default";q=` + strconv.Itoa(decision.Limit) + `;w=` + ceilSeconds(decision.Window)}
		header["Ratelimit"] = []string{`"default";r=` + strconv.Itoa(decision.Remaining) + `;t=` + ceilSeconds(decision.Reset)}
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
func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
