package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

//go:embed templates
var templateFiles embed.FS

func parseTemplates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"priority": priorityName, "exact": exactTime, "date": shortDate,
	}).ParseFS(templateFiles, "templates/*.html"))
}

// document is the data of the templates.
type document struct {
	Assets   string // path of the assets
	StatsURL string
	Selected selection
	Links    []filterLink
	Tasks    []task.Task
	Next     string // address of the next page, or ""
	Failure  *failure
	Draft    draft
}

// filterLink is a link that selects by state.
type filterLink struct {
	Name    string
	State   string // key of the count: total, open, done
	Address string
	Count   int64
	Current bool
}

// failure is the sentence about a request that failed.
type failure struct {
	Message string // what happened
	Hint    string // what to try
}

// draft is what was typed into the form for adding.
type draft struct {
	Title    string
	Priority int
	Problem  string // with the title, or ""
}

// showList writes the document with the selected tasks.
func (p *page) showList(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, http.StatusOK, document{Selected: readSelection(r.URL.Query())})
}

// render writes the document with the tasks that d.Selected selects.
func (p *page) render(w http.ResponseWriter, r *http.Request, status int, d document) {
	d.Assets, d.StatsURL = p.assets.root, p.statsURL
	if err := p.loadTasks(r, &d); err != nil {
		e := apperr.Of(err)
		d.Failure = &failure{Message: e.Message, Hint: "Reload the page to try again."}
		status = http.StatusServiceUnavailable
	}
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, "page.html", d); err != nil {
		panic(err) // a defect of the template
	}
	header := w.Header()
	p.setDocumentHeaders(header)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an error means that the client has disconnected
}

// loadTasks sets the tasks, the counts and the links of d.
func (p *page) loadTasks(r *http.Request, d *document) error {
	query, err := d.Selected.query()
	if err != nil {
		return err
	}
	tasks, more, err := p.Tasks.List(r.Context(), query)
	if err != nil {
		return err
	}
	d.Tasks = tasks
	if more {
		next := d.Selected
		next.After = strconv.FormatInt(tasks[len(tasks)-1].ID, 10)
		d.Next = next.address()
	}
	for _, link := range []filterLink{{Name: "All", State: "total"}, {Name: "Open", State: "open"}, {Name: "Done", State: "done"}} {
		selected := selection{Text: d.Selected.Text, Sort: d.Selected.Sort}
		var done *bool
		switch link.State {
		case "open":
			selected.Done, done = "false", new(false)
		case "done":
			selected.Done, done = "true", new(true)
		}
		if link.Count, err = p.Tasks.Count(r.Context(), done); err != nil {
			return err
		}
		link.Address, link.Current = selected.address(), selected.Done == d.Selected.Done
		d.Links = append(d.Links, link)
	}
	return nil
}

// The priorities that the page names, and the values that they stand for.
const (
	highPriority   = 50
	normalPriority = 1
	urgentPriority = 75
)

// priorityName returns the name of the range in which a priority is.
func priorityName(priority int) string {
	switch {
	case priority >= urgentPriority:
		return "urgent"
	case priority >= highPriority:
		return "high"
	case priority >= normalPriority:
		return "normal"
	}
	return "low"
}

func exactTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func shortDate(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }
