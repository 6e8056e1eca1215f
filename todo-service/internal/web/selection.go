package web

import (
	"cmp"
	"math"
	"net/url"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// defaultSort is the order of a list whose address names none.
const defaultSort = string(task.ByPriorityDescending)

// selection is what the query string of the page selects, as text.
type selection struct {
	Done  string // "true", "false", or "" for all
	Text  string // part of the title
	Sort  string // a task.Order, or "" for defaultSort
	After string // cursor of a later page
	Shown string // id of the task whose details are shown
}

// readSelection reads the parameters that it knows. It ignores others, which links from
// elsewhere may have.
func readSelection(values url.Values) selection {
	return selection{Done: values.Get("done"), Text: values.Get("q"), Sort: values.Get("sort"), After: values.Get("after"), Shown: values.Get("task")}
}

// parseSelection parses what String returns. It returns the whole list for another text.
func parseSelection(text string) selection {
	values, err := url.ParseQuery(text)
	s := readSelection(values)
	if _, invalid := s.query(); err != nil || invalid != nil {
		return selection{}
	}
	return s
}

// query returns the selection as the application knows it. The error is apperr.Invalid.
func (s selection) query() (task.Query, error) {
	q := task.Query{Contains: s.Text}
	switch s.Done {
	case "":
	case "true", "false":
		q.Done = new(s.Done == "true")
	default:
		return q, apperr.InvalidFields(apperr.Field{Name: "done", Problem: "must be true or false"})
	}
	var problem string
	if q.Order, problem = task.ParseOrder(cmp.Or(s.Sort, defaultSort)); problem != "" {
		return q, apperr.InvalidFields(apperr.Field{Name: "sort", Problem: problem})
	}
	if s.After != "" {
		if problem := q.SetAfter(s.After); problem != "" {
			return q, apperr.InvalidFields(apperr.Field{Name: "after", Problem: problem})
		}
	}
	return q, nil
}

// String returns the selection as a query string, "" for the whole list.
func (s selection) String() string {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("done", s.Done)
	set("q", s.Text)
	set("sort", s.Sort)
	set("after", s.After)
	set("task", s.Shown)
	return values.Encode()
}

// Address returns the address of the page with the selection.
func (s selection) Address() string {
	if query := s.String(); query != "" {
		return "/?" + query
	}
	return "/"
}

// IsFiltered reports whether the selection may leave tasks out.
func (s selection) IsFiltered() bool { return s.Done != "" || s.Text != "" || s.After != "" }

// hasFreeText reports whether the selection has a text or a number of the client's choice.
// Forms and links of the document repeat it.
func (s selection) hasFreeText() bool { return s.Text != "" || s.After != "" || s.Shown != "" }

// WithoutTask returns the selection without details of a task.
func (s selection) WithoutTask() selection {
	s.Shown = ""
	return s
}

// firstPage returns the first page of the tasks in another state, with the same search and
// order.
func (s selection) firstPage(done string) selection {
	return selection{Done: done, Text: s.Text, Sort: s.Sort}
}

// SortOptions returns the options of the field for the order.
func (s selection) SortOptions() []option {
	options := []option{
		{Value: string(task.ByPriorityDescending), Name: "Priority"},
		{Value: string(task.ByPriority), Name: "Lowest priority"},
		{Value: string(task.ByIDDescending), Name: "Newest"},
		{Value: string(task.ByID), Name: "Oldest"},
	}
	for i, o := range options {
		options[i].Selected = o.Value == cmp.Or(s.Sort, defaultSort)
	}
	return options
}

// DefaultSort returns the order of a list whose address names none.
func (s selection) DefaultSort() string { return defaultSort }

// parseID parses a positive number that this service has written. The error is
// apperr.Invalid, and names the field.
func parseID(field, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, apperr.InvalidFields(apperr.Field{Name: field, Problem: "must be a whole number from 1 to " + strconv.FormatInt(math.MaxInt64, 10)})
	}
	return n, nil
}
