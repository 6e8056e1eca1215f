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
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
	"example.com/todo/stats-service/internal/stats"
)

// Reporter returns the statistics; see stats.Service.
type Reporter interface {
	Report(ctx context.Context, days int) (stats.Report, error)
	ReportUser(ctx context.Context, user string, days int) (stats.Report, error)
}

// Config has the parts that the handler needs.
type Config struct {
	Reporter    Reporter
	Credentials *session.Authenticator // of users, whose statistics are served; nil without sign-in
	Log         *slog.Logger
}

// adminRole is the role of users that may read the statistics of all users.
const adminRole = "admin"

// documentPath needs no sign-in.
const documentPath = "/openapi.yaml"

// New returns the handler of all routes. Errors are problem documents (RFC 9457).
func New(cfg Config) http.Handler {
	a := api{cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", a.stats)
	mux.HandleFunc("GET "+documentPath, serveDocument)
	routes := httpserver.Routes(mux)
	if cfg.Credentials == nil {
		return routes
	}
	credentials := *cfg.Credentials
	credentials.IsOpen = func(r *http.Request) bool { return r.URL.Path == documentPath }
	return credentials.Require(routes)
}

type api struct{ Config }

func (a api) stats(w http.ResponseWriter, r *http.Request) {
	report, err := a.report(r)
	if err != nil {
		httpserver.WriteProblem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if a.Credentials == nil {
		w.Header().Set("Cache-Control", "no-store")
	}
	if err := json.NewEncoder(w).Encode(report); err != nil {
		a.Log.DebugContext(r.Context(), "the response was not written", "error", err)
	}
}

// report returns the statistics of the user. Without sign-in, or when an administrator
// requests the scope all, it returns those of all users.
func (a api) report(r *http.Request) (stats.Report, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return stats.Report{}, httpserver.StatusError(http.StatusBadRequest, "the query cannot be read")
	}
	days, err := parseDays(query)
	if err != nil {
		return stats.Report{}, err
	}
	scope, hasScope := query["scope"]
	if hasScope && (len(scope) != 1 || scope[0] != "all") {
		return stats.Report{}, apperr.InvalidFields(apperr.Field{Name: "scope", Problem: "must be all, or absent"})
	}
	if a.Credentials == nil {
		return a.Reporter.Report(r.Context(), days)
	}
	user := session.UserFrom(r.Context())
	switch {
	case !hasScope:
		return a.Reporter.ReportUser(r.Context(), strconv.FormatInt(user.ID, 10), days)
	case user.Role != adminRole:
		return stats.Report{}, apperr.New(apperr.PermissionDenied, "only administrators may read the statistics of all users")
	}
	return a.Reporter.Report(r.Context(), days)
}

func serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = io.WriteString(w, openapi.Stats) // fails only when the client disconnected
}

// parseDays returns the query's days, or the default without one. Two values are invalid.
func parseDays(query url.Values) (int, error) {
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
