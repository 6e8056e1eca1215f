package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
)

// limitRate counts each request against its client's budget and says in each
// answer what is left of it, in the fields of
// draft-ietf-httpapi-ratelimit-headers-10: requests left (r), and the seconds
// until some that were spent come back (t). An uncounted request spent none.
func limitRate(next http.Handler, limiter Limiter, peers ClientIPs) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		budget := limiter.Allow(r.Context(), peers.FromHTTP(r))
		header := w.Header()
		header["Ratelimit-Policy"] = []string{formatItem("q", int64(budget.Limit), "w", ceilSeconds(budget.Window))}
		header["Ratelimit"] = []string{formatItem("r", int64(budget.Remaining), "t", ceilSeconds(budget.Reset))}
		if !budget.Allowed {
			refusal := apperr.New(apperr.RateLimited, "too many requests")
			refusal.RetryAfter = budget.RetryAfter
			httpserver.WriteProblem(w, r, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// formatItem writes one entry of the fields, with two parameters.
func formatItem(name1 string, value1 int64, name2 string, value2 int64) string {
	text := append(make([]byte, 0, 48), `"default";`...)
	text = strconv.AppendInt(append(append(text, name1...), '='), value1, 10)
	text = append(append(append(text, ';'), name2...), '=')
	return string(strconv.AppendInt(text, value2, 10))
}

// ceilSeconds rounds up, so that who waits that long has waited long enough.
func ceilSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
