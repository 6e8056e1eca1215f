// Package httpapi is stats-service's HTTP side: GET /stats, and the document
// that describes it.
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

// Reporter gives the statistics; see stats.Service.
type Reporter interface {
	Report(ctx context.Context, days int) (stats.Report, error)
}

// New returns the routes. Errors are problem documents.
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
		a.log.DebugContext(r.Context(), "the answer did not get through", "error", err)
	}
}

func serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = io.WriteString(w, openapi.Stats) // a client that left needs no answer
}

// parseDays reads the query's days; given, it must be one number.
func parseDays(r *http.Request) (int, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, httpserver.StatusError(http.StatusBadRequest, "the query can not be read")
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
