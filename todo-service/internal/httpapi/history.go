package httpapi

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"

	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

// listTaskEvents writes a page of the task's history.
func (a *api) listTaskEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := parsePathID(r)
	if err != nil {
		return err
	}
	page, err := parseHistoryQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	events, more, err := a.Tasks.History(r.Context(), id, page)
	if err != nil {
		return err
	}
	body, err := encodeEventArray(events)
	if err != nil {
		return err
	}
	if more {
		last := events[len(events)-1].Task.Version
		w.Header().Set("Link", fmt.Sprintf(`</tasks/%d/events?after=%d&limit=%d>; rel="next"`, id, last, cmp.Or(page.Limit, task.MaxLimit)))
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// encodeEventArray returns a JSON array of the events in the form of the contract.
func encodeEventArray(events []task.Event) ([]byte, error) {
	all := make([][]byte, len(events))
	for i, e := range events {
		var err error
		if all[i], err = eventcodec.ToContract(e).Marshal(); err != nil {
			return nil, err
		}
	}
	return append(append([]byte("["), bytes.Join(all, []byte(","))...), ']'), nil
}
