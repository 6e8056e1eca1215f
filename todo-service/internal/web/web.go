// Package web implements the page: the list of tasks as an HTML document, forms that
// change tasks without a script, and the assets of the script. It is a transport, as
// httpapi and grpcapi are: a handler reads the request, calls task.Service, and writes HTML.
package web

import (
	"context"
	"html/template"
	"net/http"
	"net/netip"
	"strings"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// Config holds the settings of the page.
type Config struct {
	StatsURL string `config:"stats_url"` // of stats-service, as browsers reach it; "" for a page without statistics
}

// Validate returns an error for an address that a browser cannot ask.
func (c Config) Validate() error {
	if c.StatsURL == "" {
		return nil
	}
	return config.CheckURL("stats_url", c.StatsURL, "http", "https")
}

// Dependencies are the parts of the service that the page uses.
type Dependencies struct {
	Tasks *task.Service
	// Allow counts a request of a client and decides whether it may pass.
	Allow func(ctx context.Context, client netip.Addr) ratelimit.Decision
	// ClientIP resolves the IP address of a request's client.
	ClientIP func(r *http.Request) netip.Addr
	// AcquireSearch waits until the client's other search calls release; if ctx ends first,
	// it returns an error.
	AcquireSearch func(ctx context.Context, client netip.Addr) (release func(), err error)
}

type page struct {
	Dependencies
	statsURL  string
	policy    string // Content-Security-Policy
	assets    *assetSet
	templates *template.Template
}

// New returns the handler of the paths for which Serves returns true. The caller adds
// telemetry and recovery with httpserver.Instrument.
func New(cfg Config, deps Dependencies) http.Handler {
	assets := loadAssets()
	p := &page{
		Dependencies: deps,
		statsURL:     strings.TrimSuffix(cfg.StatsURL, "/"),
		policy:       contentSecurityPolicy(cfg.StatsURL),
		assets:       assets,
		templates:    parseTemplates(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.showList)
	mux.HandleFunc("GET /assets/{hash}/{name...}", assets.serve)
	mux.HandleFunc("POST /page/tasks", p.form(p.addTask))
	mux.HandleFunc("POST /page/tasks/{id}/complete", p.form(p.completeTask))
	mux.HandleFunc("POST /page/tasks/{id}/reopen", p.form(p.reopenTask))
	mux.HandleFunc("POST /page/tasks/{id}/delete", p.form(p.deleteTask))
	return httpserver.Routes(mux)
}

// Serves reports whether the page answers requests for path.
func Serves(path string) bool {
	return path == "/" || strings.HasPrefix(path, "/assets/") || strings.HasPrefix(path, "/page/")
}
