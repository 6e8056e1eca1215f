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
		decision := a.Limiter.Allow(r.Context(), a.ClientIPs.FromHTTP(r))
		header := w.Header()
		header["Ratelimit-Policy"] = []string{formatItem("q", int64(decision.Limit), "w", ceilSeconds(decision.Window))}
		header["Ratelimit"] = []string{formatItem("r", int64(decision.Remaining), "t", ceilSeconds(decision.Reset))}
		if !decision.Allowed {
			err := apperr.New(apperr.RateLimited, "too many requests")
			err.RetryAfter = decision.RetryAfter
			httpserver.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// formatItem returns one item of a rate limit header, with two parameters.
func formatItem(name1 string, value1 int64, name2 string, value2 int64) string {
	text := append(make([]byte, 0, 48), `"default";`...)
	text = strconv.AppendInt(append(append(text, name1...), '='), value1, 10)
	text = append(append(append(text, ';'), name2...), '=')
	return string(strconv.AppendInt(text, value2, 10))
}

// ceilSeconds rounds up: a client that waits that many seconds has waited long enough.
func ceilSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
