// Package httpapi implements the HTTP handlers of stats-service: GET /stats and its
// OpenAPI document.
package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/httpserver"
	"example.com/todo/stats-service/internal/stats"
)

// Reporter returns the statistics; see stats.Service.
type Reporter interface {
	Report(ctx context.Context, days int) (stats.Report, error)
}

// New returns the handler of all routes. Errors are problem documents (RFC 9457).
func New(reporter Reporter, log *slog.Logger) http.Handler {
	a := api{reporter: reporter, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", a.stats)
	mux.HandleFunc("GET /openapi.yaml", serveDocument)
	return httpserver.Routes(mux)
}

type api struct {
	reporter Reporter
	log      *slog.Logger
}

func (a api) stats(w http.ResponseWriter, r *http.Request) {
	days, err := parseDays(r)
	if err != nil {
		httpserver.WriteProblem(w, r, err)
		return
	}
	report, err := a.reporter.Report(r.Context(), days)
	if err != nil {
		httpserver.WriteProblem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(report); err != nil {
		a.log.DebugContext(r.Context(), "the response was not written", "error", err)
	}
}

func serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = io.WriteString(w, openapi.Stats) // fails only when the client disconnected
}

// parseDays returns the query's days, or the default without one. Two values are invalid.
func parseDays(r *http.Request) (int, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, httpserver.StatusError(http.StatusBadRequest, "the query cannot be read")
	}
	given, ok := query["days"]
	if !ok {
		return stats.DefaultDays, nil
	}
	days, err := strconv.Atoi(given[0])
	if err != nil || len(given) != 1 {
		return 0, stats.InvalidDays()
	}
	return days, nil
}
