// Package web implements the page: the list of tasks as an HTML document, forms that
// change tasks without a script, and the assets of the script. It is a transport, as
// httpapi and grpcapi are: a handler reads the request, calls task.Service, and writes
// HTML. The script then takes over the elements of the document, and is a client of the
// HTTP API like any other.
package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// Config holds the settings of the page.
type Config struct {
	StatsURL  string `config:"stats_url"`  // of stats-service, as browsers reach it; "" for a page without statistics
	PublicURL string `config:"public_url"` // of the page, as browsers reach it; "" if they reach this server itself
}

// Validate returns an error for a URL that a browser cannot request.
func (c Config) Validate() error { return errors.Join(c.checkStatsURL(), c.checkPublicURL()) }

func (c Config) checkPublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	if strings.Contains(c.PublicURL, "?") {
		return config.Invalid("public_url", "must not have a query")
	}
	return config.CheckURL("public_url", c.PublicURL, "http", "https")
}

func (c Config) checkStatsURL() error {
	if c.StatsURL == "" {
		return nil
	}
	if strings.Contains(c.StatsURL, "?") {
		return config.Invalid("stats_url", "must not have a query: the page adds its own")
	}
	if err := config.CheckURL("stats_url", c.StatsURL, "http", "https"); err != nil {
		return err
	}
	if strings.Contains(c.StatsURL, "[") {
		return config.Invalid("stats_url", "must have a name or an IPv4 address: a Content-Security-Policy cannot name an IPv6 address")
	}
	return nil
}

// Dependencies are the parts of the service that the page uses.
type Dependencies struct {
	Tasks *task.Service
	// Owner returns the owner of the tasks that a request with this context reads and writes.
	Owner func(ctx context.Context) task.Owner
	// Allow counts a request of a client and decides whether it may pass. It fails open: a
	// request that it cannot count passes.
	Allow func(ctx context.Context, client netip.Addr) ratelimit.Decision
	// ClientIP resolves the IP address of a request's client.
	ClientIP func(r *http.Request) netip.Addr
	// AcquireSearch waits until the client's other search calls release; if ctx ends first,
	// it returns an error.
	AcquireSearch func(ctx context.Context, client ratelimit.Client) (release func(), err error)
	// AcquireDocument waits until the client may have one more document prepared; if ctx
	// ends first, it returns an error.
	AcquireDocument func(ctx context.Context, client ratelimit.Client) (release func(), err error)
	// SignIn is nil where there is no sign-in.
	SignIn *SignIn
	Now    func() time.Time
	Log    *slog.Logger
}

type page struct {
	Dependencies
	statsURL  string
	policy    string // Content-Security-Policy of the documents
	assets    *assetSet
	templates *template.Template
	guard     *http.CrossOriginProtection
	preparing *semaphore.Weighted // a slot for each document that is loaded and rendered
}

// New returns the handler of the paths for which Serves returns true. The rate limit counts
// the forms alone. The caller adds telemetry and recovery with httpserver.Instrument.
func New(cfg Config, deps Dependencies) http.Handler {
	p := &page{
		Dependencies: deps,
		statsURL:     strings.TrimSuffix(cfg.StatsURL, "/"),
		policy:       contentSecurityPolicy(cfg.StatsURL),
		assets:       loadAssets(),
		templates:    parseTemplates(),
		guard:        http.NewCrossOriginProtection(),
		preparing:    semaphore.NewWeighted(maxPreparing),
	}
	mux := http.NewServeMux()
	for _, route := range routes {
		if p.SignIn != nil || !route.needsSignIn {
			mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) { route.handle(p, w, r) })
		}
	}
	if p.SignIn == nil {
		return httpserver.Routes(mux)
	}
	// Every route is open: the handlers answer requests without a session by a document. A
	// token in the URL is still refused.
	open := *p.SignIn.Credentials
	open.IsOpen = func(*http.Request) bool { return true }
	return open.Require(httpserver.Routes(mux))
}

// Serves reports whether the page answers requests for path. A path that is not in clean
// form belongs to the API, which answers it 404.
func Serves(requested string) bool {
	return requested == "/" || requested == "/favicon.ico" ||
		(strings.HasPrefix(requested, "/assets/") || strings.HasPrefix(requested, "/page/")) && requested == path.Clean(requested)
}
