package web_test

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/net/html"

	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

const statsURL = "http://localhost:8081"

// fixture is the page behind the middleware of the service, over a store in memory.
type fixture struct {
	http.Handler
	tasks    *task.Service
	store    *brokenStore
	log      *strings.Builder
	now      time.Time
	registry *prometheus.Registry
	refusal  time.Duration // if positive, the limiter refuses every request for this time
	limited  int           // requests that the limiter counted
	searches int           // that run or wait
	header   []string      // names and values that press adds to a form
}

// owner makes every request of these tests.
const owner task.Owner = 7

// brokenStore is a store whose methods fail while err is set, and whose lists take for ever
// while it is frozen.
type brokenStore struct {
	task.Store
	err    error
	frozen bool
}

func (s *brokenStore) Get(ctx context.Context, owner task.Owner, id int64) (task.Task, error) {
	if s.err != nil {
		return task.Task{}, s.err
	}
	return s.Store.Get(ctx, owner, id)
}

func (s *brokenStore) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	if s.frozen {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.Store.List(ctx, owner, q)
}

func (s *brokenStore) Create(ctx context.Context, owner task.Owner, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	if s.err != nil {
		return task.Task{}, s.err
	}
	return s.Store.Create(ctx, owner, e, key)
}

func (s *brokenStore) Update(ctx context.Context, owner task.Owner, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	if s.err != nil {
		return task.Task{}, s.err
	}
	return s.Store.Update(ctx, owner, id, change)
}

func newFixture() *fixture {
	return newFixtureWith(func(context.Context) task.Owner { return owner }, nil)
}

func newFixtureWith(ownerOf func(context.Context) task.Owner, signIn *web.SignIn) *fixture {
	f := &fixture{store: &brokenStore{Store: memstore.New()}, log: &strings.Builder{}, now: start, registry: prometheus.NewRegistry()}
	clock := func() time.Time { return f.now }
	f.tasks = task.NewService(f.store, clock, func(context.Context, task.Owner, string) {})
	locks := admission.NewSearchLocks()
	log := slog.New(slog.NewTextHandler(f.log, nil))
	page := web.New(web.Config{StatsURL: statsURL + "/"}, web.Dependencies{
		Tasks: f.tasks,
		Owner: ownerOf,
		Allow: func(context.Context, netip.Addr) ratelimit.Decision {
			f.limited++
			return ratelimit.Decision{Allowed: f.refusal == 0, RetryAfter: f.refusal}
		},
		ClientIP: func(r *http.Request) netip.Addr { return netip.MustParseAddrPort(r.RemoteAddr).Addr() },
		AcquireSearch: func(ctx context.Context, client ratelimit.Client) (func(), error) {
			f.searches++
			return locks.Acquire(ctx, client)
		},
		AcquireDocument: admission.NewDocumentSlots().Acquire,
		SignIn:          signIn,
		Now:             clock,
		Log:             log,
	})
	f.Handler = httpserver.Instrument(page, httpserver.Defaults(":0"), httpserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: f.registry, Tracer: noop.NewTracerProvider(),
	})
	return f
}

// create stores a task and returns it.
func (f *fixture) create(t testing.TB, title string, priority int) task.Task {
	t.Helper()
	created, err := f.tasks.Create(t.Context(), owner, task.Draft{Title: title, Priority: priority})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// change changes a task and returns it.
func (f *fixture) change(t testing.TB, id int64, c task.Change) task.Task {
	t.Helper()
	changed, err := f.tasks.Change(t.Context(), owner, id, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// get returns a task as it is stored.
func (f *fixture) get(t testing.TB, id int64) task.Task {
	t.Helper()
	stored, err := f.tasks.Get(t.Context(), owner, id)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

type response struct {
	Status int
	Header http.Header
	Body   string
}

// request sends a request without a body. header is a list of names and values.
func (f *fixture) request(method, target string, header ...string) response {
	return f.send(httptest.NewRequest(method, target, http.NoBody), header...)
}

// post sends a form, given as names and values.
func (f *fixture) post(target string, fields url.Values, header ...string) response {
	request := httptest.NewRequest(http.MethodPost, target, strings.NewReader(fields.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.send(request, header...)
}

func (f *fixture) send(request *http.Request, header ...string) response {
	request.Host = "localhost:8080"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	f.ServeHTTP(recorder, request)
	return response{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// document requests a document and parses it.
func (f *fixture) document(t testing.TB, target string, status int) *html.Node {
	t.Helper()
	got := f.request(http.MethodGet, target)
	if got.Status != status {
		t.Fatalf("GET %s: %d, want %d: %s", target, got.Status, status, got.Body)
	}
	return got.parse(t)
}

func (r response) parse(t testing.TB) *html.Node {
	t.Helper()
	if kind := r.Header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Fatalf("the response is %q: %d %s", kind, r.Status, r.Body)
	}
	root, err := html.Parse(strings.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// elements returns the elements that match, in document order, without those of templates.
func elements(root *html.Node, match func(*html.Node) bool) (found []*html.Node) {
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && match(node) && !insideTemplate(node) {
			found = append(found, node)
		}
	}
	return found
}

func insideTemplate(node *html.Node) bool {
	for parent := range node.Ancestors() {
		if parent.Data == "template" {
			return true
		}
	}
	return false
}

// element returns the element with an id.
func element(t testing.TB, root *html.Node, id string) *html.Node {
	t.Helper()
	found := elements(root, func(n *html.Node) bool { return attribute(n, "id") == id })
	if len(found) != 1 {
		t.Fatalf("%d elements have the id %q", len(found), id)
	}
	return found[0]
}

// attribute returns the value of an attribute, or "".
func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// has reports whether the element has the attribute.
func has(node *html.Node, name string) bool {
	for _, a := range node.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// text returns the text of an element, with single spaces.
func text(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// titles returns the titles of the rows.
func titles(root *html.Node) (found []string) {
	for _, n := range elements(root, func(n *html.Node) bool { return attribute(n, "class") == "title" }) {
		found = append(found, text(n))
	}
	return found
}

func unzip(t testing.TB, body string) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}
