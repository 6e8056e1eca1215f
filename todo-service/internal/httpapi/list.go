package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/task"
)

// Values of the header Cache-Status (RFC 9211).
const (
	cacheHit    = "todo-service; hit"
	cacheMiss   = "todo-service; fwd=miss"
	cacheBypass = "todo-service; fwd=bypass" // the cache holds the unfiltered list only
)

func (a *api) listTasks(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery == "" {
		return a.listUnfiltered(w, r)
	}
	query, err := parseQuery(r.URL.RawQuery, "after", "done", "limit", "q")
	if err != nil {
		return err
	}
	list, err := a.listFiltered(r, query)
	if err != nil {
		return err
	}
	writeList(w, r, list, cacheBypass)
	return nil
}

// listFiltered returns a page. A search first waits for the client's other search.
func (a *api) listFiltered(r *http.Request, query task.Query) (listcache.Entry, error) {
	if query.Contains != "" {
		release, err := a.AcquireSearch(r.Context(), a.ClientIP(r))
		if err != nil {
			return listcache.Entry{}, err
		}
		defer release()
	}
	return a.renderPage(r.Context(), query)
}

func (a *api) listUnfiltered(w http.ResponseWriter, r *http.Request) error {
	list, err := a.Lists.Load(r.Context(), func(ctx context.Context) (listcache.Entry, error) {
		return a.renderPage(ctx, task.Query{})
	})
	if err != nil {
		return err
	}
	status := cacheMiss
	if list.Hit {
		status = cacheHit
	}
	writeList(w, r, list, status)
	return nil
}

// renderPage returns the response with the selected tasks. Link is set if there is a next
// page.
func (a *api) renderPage(ctx context.Context, query task.Query) (listcache.Entry, error) {
	tasks, more, err := a.Tasks.List(ctx, query)
	if err != nil {
		return listcache.Entry{}, err
	}
	var page listcache.Entry
	if more {
		page.Link = nextPageLink(query, tasks[len(tasks)-1].ID)
	}
	page.Body, err = encodeJSON(tasks)
	page.ETag = bodyETag(page.Body)
	return page, err
}

func writeList(w http.ResponseWriter, r *http.Request, list listcache.Entry, cache string) {
	header := w.Header()
	if list.Link != "" {
		header["Link"] = []string{list.Link}
	}
	header["Cache-Status"] = []string{cache}
	writeConditional(w, r, list.Body, list.ETag)
}

func nextPageLink(query task.Query, last int64) string {
	next := url.Values{
		"after": {strconv.FormatInt(last, 10)},
		"limit": {strconv.Itoa(cmp.Or(query.Limit, task.MaxLimit))},
	}
	if query.Done != nil {
		next.Set("done", strconv.FormatBool(*query.Done))
	}
	if query.Contains != "" {
		next.Set("q", query.Contains)
	}
	return "</tasks?" + next.Encode() + `>; rel="next"`
}
