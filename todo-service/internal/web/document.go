package web

import (
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

//go:embed templates
var templateFiles embed.FS

func parseTemplates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"priority": priorityName, "time": formatTime, "machineTime": formatMachineTime,
	}).ParseFS(templateFiles, "templates/*.html"))
}

// loadTimeout bounds the queries of a document, and the wait for them. Without the tasks
// the document still has its forms, and the script requests them.
const loadTimeout = 2 * time.Second

// maxPreparing is how many documents are loaded and rendered at once. A document of 1,000
// tasks takes 3 MB meanwhile. More of them at once would not be finished earlier.
const maxPreparing = 8

// document is the data of the template tasks.html.
type document struct {
	Assets   string // path of the assets
	Modules  []string
	StatsURL string
	Selected selection
	Counts   *task.Counts // nil if they are not loaded
	Rows     []row
	Loaded   bool   // Rows are there
	First    string // address of the first page, unless this is the first one
	Next     string // address of the next page, or ""
	Draft    draft
	Details  *details
	Failure  *failure
	Account  *accountMenu // nil without sign-in
	NewRow   row          // for rows that the script makes
}

// row is a task of the list in the form of its template. Text and flat fields make the
// template of a full page three times as fast.
type row struct {
	ID, Version, Priority string
	Level                 string // name of the priority
	Done                  bool
	Title                 string
	Created               string // for the attribute datetime
	CreatedText           string
	Age                   string
	Details               string // address of its details
}

func newRow(t task.Task, now time.Time, detailsOf string) row {
	id := strconv.FormatInt(t.ID, 10)
	return row{
		ID: id, Version: strconv.FormatInt(t.Version, 10), Priority: strconv.Itoa(t.Priority), Level: priorityName(t.Priority),
		Done: t.Done, Title: t.Title,
		Created: formatMachineTime(t.CreatedAt), CreatedText: formatTime(t.CreatedAt), Age: age(now, t.CreatedAt),
		Details: detailsOf + id + "#history", // on a narrow screen they are below the list
	}
}

// filter is a link that selects tasks by their state.
type filter struct {
	Name    string
	State   string // member of the counts in the API: total, open, done
	Done    string // of the selection
	Address string
	Count   string // "" without counts
	Current bool
}

// draft is what the form for adding contains.
type draft struct {
	Key      string // an idempotency key: the form adds one task, however often it is sent
	Title    string
	Priority int
	Problem  string // of the title, or ""
}

// Options returns the options of the field for the priority.
func (d draft) Options() []option { return priorityOptions(d.Priority) }

// showTasks writes the document that the query string selects.
func (p *page) showTasks(w http.ResponseWriter, r *http.Request) {
	p.writeDocument(w, r, http.StatusOK, document{Selected: readSelection(r.URL.Query())})
}

// writeDocument loads what d.Selected selects and writes the document. If that fails, the
// document says so, and has the status of the failure unless d is one already.
func (p *page) writeDocument(w http.ResponseWriter, r *http.Request, status int, d document) {
	d.Assets, d.Modules, d.StatsURL = p.assets.root, p.assets.modules, p.statsURL
	d.Account = p.newAccountMenu(r.Context())
	if d.Draft == (draft{}) {
		d.Draft.Priority = defaultPriority
	}
	if d.Draft.Key == "" {
		d.Draft.Key = rand.Text()
	}
	status, content := p.prepare(r, status, &d)
	setRetryAfter(w.Header(), d.Failure)
	// A document that repeats the client's text is not compressed. It has that text beside
	// titles and the user's e-mail, and its compressed size would tell whether they are alike
	// (the attack BREACH). Other text of a request is repeated only after a form of this page.
	p.write(w, r, status, content, !d.Selected.hasFreeText())
}

// prepare loads what d.Selected selects and renders the document. It returns the status of
// the response.
func (p *page) prepare(r *http.Request, status int, d *document) (int, rendering) {
	ctx, cancel := context.WithTimeout(r.Context(), loadTimeout)
	defer cancel()
	release, err := p.acquire(ctx, r, d.Selected.Text != "")
	if err == nil {
		defer release()
		err = p.load(ctx, d)
	}
	if !d.Loaded && apperr.Of(err).Kind == apperr.Invalid {
		// The links and forms must not repeat what is invalid. The search stays in its field.
		d.Selected = selection{Text: d.Selected.Text}
	}
	if err != nil && d.Failure == nil {
		heading := "The tasks cannot be shown"
		if d.Loaded {
			heading = "The task cannot be shown"
		}
		failed, failure := p.describeLoadFailure(r, err, heading)
		d.Failure, status = &failure, failed
	}
	return status, p.render("tasks.html", d)
}

// acquire waits until a document may be prepared: for the client's other search, for one
// of the client's other documents, and for one of all documents, if they are too many.
func (p *page) acquire(ctx context.Context, r *http.Request, searches bool) (release func(), err error) {
	client, releaseSearch := ratelimit.NewClient(session.UserFrom(ctx).ID, p.ClientIP(r)), func() {}
	if searches {
		if releaseSearch, err = p.AcquireSearch(ctx, client); err != nil {
			return nil, err
		}
	}
	releaseClient, err := p.AcquireDocument(ctx, client)
	if err != nil {
		releaseSearch()
		return nil, err
	}
	if err := p.preparing.Acquire(ctx, 1); err != nil {
		releaseClient()
		releaseSearch()
		return nil, err
	}
	return func() {
		p.preparing.Release(1)
		releaseClient()
		releaseSearch()
	}, nil
}

// load sets what d.Selected selects.
func (p *page) load(ctx context.Context, d *document) error {
	if err := p.loadRows(ctx, d); err != nil {
		return err
	}
	d.Loaded = true
	p.loadCounts(ctx, d)
	p.loadEmail(ctx, d.Account)
	if d.Selected.Shown == "" {
		return nil
	}
	return p.loadDetails(ctx, d)
}

func (p *page) loadRows(ctx context.Context, d *document) error {
	query, err := d.Selected.query()
	if err != nil {
		return err
	}
	tasks, more, err := p.Tasks.List(ctx, p.Owner(ctx), query)
	if err != nil {
		return err
	}
	now := p.Now()
	listed := d.Selected.WithoutTask()
	detailsOf := "/?task="
	if others := listed.String(); others != "" {
		detailsOf = "/?" + others + "&task="
	}
	d.Rows = make([]row, len(tasks))
	for i, t := range tasks {
		d.Rows[i] = newRow(t, now, detailsOf)
	}
	if listed.After != "" {
		d.First = listed.firstPage(listed.Done).Address()
	}
	if more {
		listed.After = query.Order.Cursor(tasks[len(tasks)-1])
		d.Next = listed.Address()
	}
	return nil
}

// loadCounts sets the counts, or leaves them out if they cannot be loaded: to count many
// tasks may take longer than to list a page. Those of the store may be a second old, so
// those of a list that is there as a whole are taken from its rows.
func (p *page) loadCounts(ctx context.Context, d *document) {
	if d.Next == "" && !d.Selected.IsFiltered() {
		d.Counts = new(countRows(d.Rows))
		return
	}
	counts, err := p.Tasks.Count(ctx, p.Owner(ctx))
	if err != nil {
		p.Log.WarnContext(ctx, "the page has no counts", "error", err)
		return
	}
	d.Counts = &counts
}

// Filters returns the filters. A document without tasks has them too: the script loads the
// tasks later.
func (d document) Filters() []filter {
	filters := []filter{{Name: "All", State: "total", Done: ""}, {Name: "Open", State: "open", Done: "false"}, {Name: "Done", State: "done", Done: "true"}}
	for i, f := range filters {
		filters[i].Address = d.Selected.firstPage(f.Done).Address()
		filters[i].Current = f.Done == d.Selected.Done
	}
	if d.Counts != nil {
		for i, count := range []int64{d.Counts.Total, d.Counts.Open, d.Counts.Done} {
			filters[i].Count = strconv.FormatInt(count, 10)
		}
	}
	return filters
}

func countRows(rows []row) (counts task.Counts) {
	for _, r := range rows {
		counts.Total++
		if r.Done {
			counts.Done++
		} else {
			counts.Open++
		}
	}
	return counts
}
