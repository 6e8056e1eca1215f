package web

import (
	"net/url"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// selection is what the address of the page selects.
type selection struct {
	Done  string // "true", "false" or "" for all
	Text  string // part of the title
	Sort  string
	After string // cursor of the page
}

func readSelection(values url.Values) selection {
	return selection{Done: values.Get("done"), Text: values.Get("q"), Sort: values.Get("sort"), After: values.Get("after")}
}

// query returns the selection as the application knows it.
func (s selection) query() (task.Query, error) {
	q := task.Query{Contains: s.Text}
	switch s.Done {
	case "":
	case "true", "false":
		q.Done = new(s.Done == "true")
	default:
		return q, apperr.InvalidFields(apperr.Field{Name: "done", Problem: "must be true or false"})
	}
	if s.After != "" {
		after, err := strconv.ParseInt(s.After, 10, 64)
		if err != nil {
			return q, apperr.InvalidFields(apperr.Field{Name: "after", Problem: "must be the cursor of a page"})
		}
		q.After = after
	}
	return q, nil
}

// String returns the selection as the query string of the page, "" for the whole list.
func (s selection) String() string {
	values := url.Values{}
	for name, value := range map[string]string{"done": s.Done, "q": s.Text, "sort": s.Sort, "after": s.After} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

// address returns the path of the page with the selection.
func (s selection) address() string {
	if query := s.String(); query != "" {
		return "/?" + query
	}
	return "/"
}
