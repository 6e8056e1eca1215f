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
	query, err := parseQuery(r.URL.RawQuery, "after", "done", "limit", "q", "sort")
	if err != nil {
		return err
	}
	var list listcache.Entry
	owner, status := a.Owner(r.Context()), cacheBypass
	switch {
	case r.URL.RawQuery == "":
		list, err = a.Lists.Load(r.Context(), owner, func(ctx context.Context) (listcache.Entry, error) {
			return a.renderPage(ctx, owner, query)
		})
		status = cacheMiss
		if list.Hit {
			status = cacheHit
		}
	case query.Contains != "":
		list, err = a.search(r, owner, query)
	default:
		list, err = a.renderPage(r.Context(), owner, query)
	}
	if err != nil {
		return err
	}
	header := w.Header()
	if list.Link != "" {
		header["Link"] = []string{list.Link}
	}
	header["Cache-Status"] = []string{status}
	writeConditional(w, r, list.Body, list.ETag)
	return nil
}

// countTasks writes the numbers of tasks.
func (a *api) countTasks(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	counts, err := a.Tasks.Count(r.Context(), a.Owner(r.Context()))
	if err != nil {
		return err
	}
	body, err := encodeJSON(counts)
	if err != nil {
		return err
	}
	writeConditional(w, r, body, bodyETag(body))
	return nil
}

// search returns a page of a search, after the client's other search.
func (a *api) search(r *http.Request, owner task.Owner, query task.Query) (listcache.Entry, error) {
	release, err := a.AcquireSearch(r.Context(), a.client(r))
	if err != nil {
		return listcache.Entry{}, err
	}
	defer release()
	return a.renderPage(r.Context(), owner, query)
}

// renderPage returns the response with the owner's selected tasks. Link is set if there is a next
// page.
func (a *api) renderPage(ctx context.Context, owner task.Owner, query task.Query) (listcache.Entry, error) {
	tasks, more, err := a.Tasks.List(ctx, owner, query)
	if err != nil {
		return listcache.Entry{}, err
	}
	var page listcache.Entry
	if more {
		page.Link = nextPageLink(query, tasks[len(tasks)-1])
	}
	page.Body, err = encodeJSON(tasks)
	page.ETag = bodyETag(page.Body)
	return page, err
}

func nextPageLink(query task.Query, last task.Task) string {
	next := url.Values{
		"after": {query.Order.Cursor(last)},
		"limit": {strconv.Itoa(cmp.Or(query.Limit, task.MaxLimit))},
	}
	if query.Done != nil {
		next.Set("done", strconv.FormatBool(*query.Done))
	}
	if query.Contains != "" {
		next.Set("q", query.Contains)
	}
	if query.Order != "" {
		next.Set("sort", string(query.Order))
	}
	return "</tasks?" + next.Encode() + `>; rel="next"`
}
