package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"example.com/todo/todo-service/internal/contentcoding"
	"example.com/todo/todo-service/internal/task"
)

//go:embed templates
var templateFiles embed.FS

func parseTemplates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"priority": priorityName, "time": formatTime, "machineTime": formatMachineTime,
	}).ParseFS(templateFiles, "templates/*.html"))
}

// loadTimeout bounds the queries of a document. Without the tasks the document still has
// its forms, and the script asks again.
const loadTimeout = 2 * time.Second

// document is the data of the template tasks.html.
type document struct {
	Assets   string // path of the assets
	StatsURL string
	Selected selection
	Filters  []filter
	Rows     []row
	Loaded   bool   // Rows and Filters are there
	First    string // address of the first page, unless this is the first one
	Next     string // address of the next page, or ""
	Draft    draft
	Details  *details
	Failure  *failure
	NewRow   row // for rows that the script makes
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
	Address string
	Count   int64
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
	d.Assets, d.StatsURL = p.assets.root, p.statsURL
	if d.Draft == (draft{}) {
		d.Draft.Priority = defaultPriority
	}
	if d.Draft.Key == "" {
		d.Draft.Key = rand.Text()
	}
	if err := p.load(r, &d); err != nil && d.Failure == nil {
		heading := "The tasks cannot be shown"
		if d.Loaded {
			heading = "The task cannot be shown"
		}
		failed, failure := p.describeLoadFailure(r, err, heading)
		d.Failure, status = &failure, failed
	}
	if d.Failure != nil && d.Failure.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(d.Failure.RetryAfter))
	}
	// A search is not compressed: the response then has the client's text beside titles, and
	// its compressed size would tell whether they are alike (the attack BREACH).
	p.write(w, r, status, "tasks.html", d, d.Selected.Text == "")
}

// load sets what d.Selected selects.
func (p *page) load(r *http.Request, d *document) error {
	ctx, cancel := context.WithTimeout(r.Context(), loadTimeout)
	defer cancel()
	if err := p.loadRows(ctx, r, d); err != nil {
		return err
	}
	if err := p.loadFilters(ctx, d); err != nil {
		return err
	}
	d.Loaded = true
	if d.Selected.Shown == "" {
		return nil
	}
	return p.loadDetails(ctx, d)
}

func (p *page) loadRows(ctx context.Context, r *http.Request, d *document) error {
	query, err := d.Selected.query()
	if err != nil {
		return err
	}
	if query.Contains != "" {
		release, err := p.AcquireSearch(ctx, p.ClientIP(r))
		if err != nil {
			return err
		}
		defer release()
	}
	tasks, more, err := p.Tasks.List(ctx, query)
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

// loadFilters sets the filters with their counts. The counts of the store may be a second
// old, so those of a list that is there as a whole are taken from its rows.
func (p *page) loadFilters(ctx context.Context, d *document) (err error) {
	var counts task.Counts
	if d.Next == "" && !d.Selected.IsFiltered() {
		counts = countRows(d.Rows)
	} else if counts, err = p.Tasks.Count(ctx); err != nil {
		return err
	}
	for _, f := range []struct {
		name, state, done string
		count             int64
	}{{"All", "total", "", counts.Total}, {"Open", "open", "false", counts.Open}, {"Done", "done", "true", counts.Done}} {
		d.Filters = append(d.Filters, filter{
			Name: f.name, State: f.state, Count: f.count,
			Address: d.Selected.firstPage(f.done).Address(), Current: f.done == d.Selected.Done,
		})
	}
	return nil
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

// write executes a template and writes the response.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, name string, data any, mayCompress bool) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, data); err != nil {
		panic(err) // a defect of the template
	}
	if !utf8.Valid(body.Bytes()) { // a form or a query had other bytes
		body = *bytes.NewBuffer(bytes.ToValidUTF8(body.Bytes(), []byte(string(utf8.RuneError))))
	}
	header := w.Header()
	p.setDocumentHeaders(header)
	if mayCompress && contentcoding.AcceptsGzip(r.Header) {
		header.Set("Content-Encoding", "gzip")
		body = compressFast(body.Bytes())
	}
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error means that the client has disconnected
}

// compressFast compresses in a fifth of the time that rendering takes.
func compressFast(content []byte) (compressed bytes.Buffer) {
	w, _ := gzip.NewWriterLevel(&compressed, gzip.BestSpeed) // the level is valid
	_, _ = w.Write(content)                                  // a buffer returns no error
	_ = w.Close()
	return compressed
}
