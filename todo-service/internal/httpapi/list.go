package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"example.com/todo/todo-service/internal/task"
)

// What the list cache had to do with an answer (RFC 9211).
const (
	cacheHit    = "todo-service; hit"
	cacheMiss   = "todo-service; fwd=miss"
	cacheBypass = "todo-service; fwd=bypass" // only the unfiltered list is kept
)

func (a *api) list(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery == "" {
		return a.listAll(w, r)
	}
	query, err := listQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	body, link, err := a.page(r.Context(), query)
	if err != nil {
		return err
	}
	writeList(w, body, link, cacheBypass)
	return nil
}

func (a *api) listAll(w http.ResponseWriter, r *http.Request) error {
	list, err := a.lists.Load(r.Context(), func(ctx context.Context) ([]byte, string, error) {
		return a.page(ctx, task.Query{})
	})
	if err != nil {
		return err
	}
	status := cacheMiss
	if list.Hit {
		status = cacheHit
	}
	writeList(w, list.Body, list.Link, status)
	return nil
}

// page returns the selected tasks as they are answered, and the Link to the
// next page, if there is one.
func (a *api) page(ctx context.Context, query task.Query) (body []byte, link string, err error) {
	tasks, more, err := a.tasks.List(ctx, query)
	if err != nil {
		return nil, "", err
	}
	if more {
		link = nextPage(query, tasks[len(tasks)-1].ID)
	}
	if tasks == nil {
		tasks = []task.Task{}
	}
	body, err = encode(tasks)
	return body, link, err
}

func writeList(w http.ResponseWriter, body []byte, link, cache string) {
	if link != "" {
		w.Header().Set("Link", link)
	}
	w.Header().Set("Cache-Status", cache)
	writeJSON(w, http.StatusOK, body)
}

func nextPage(query task.Query, last int64) string {
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
