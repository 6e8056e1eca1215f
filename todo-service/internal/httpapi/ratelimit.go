package httpapi

import (
	"net/http"

	"example.com/todo/platform/httpserver"
)

// limitRate responds 429 to requests over the client's rate limit. Every response has the
// headers of its decision.
func (a *api) limitRate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decision := a.Allow(r.Context(), a.ClientIP(r))
		decision.SetHeaders(w.Header())
		if err := decision.Err(); err != nil {
			httpserver.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
