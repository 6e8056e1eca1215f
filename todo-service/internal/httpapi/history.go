package httpapi

import (
	"cmp"
	"fmt"
	"net/http"

	"example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

// listTaskEvents writes a page of the task's history.
func (a *api) listTaskEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := parsePathID(r)
	if err != nil {
		return err
	}
	query, err := parseQuery(r.URL.RawQuery, "after", "limit")
	if err != nil {
		return err
	}
	events, more, err := a.Tasks.History(r.Context(), a.Owner(r.Context()), id, query.After, query.Limit)
	if err != nil {
		return err
	}
	list := make([]event.Event, len(events))
	for i, e := range events {
		list[i] = eventcodec.ToContract(e)
	}
	body, err := encodeJSON(list)
	if err != nil {
		return err
	}
	if more {
		last := events[len(events)-1].Task.Version
		w.Header().Set("Link", fmt.Sprintf(`</tasks/%d/events?after=%d&limit=%d>; rel="next"`, id, last, cmp.Or(query.Limit, task.MaxLimit)))
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
