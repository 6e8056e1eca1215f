package web

import (
	"net/http"
	"net/url"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// maxForm is the largest accepted form, in bytes.
const maxForm = 64 << 10

// form returns the handler of a form. change makes the change; the response is the list
// with the selection that was on.
func (p *page) form(change func(r *http.Request, values url.Values) error) http.HandlerFunc {
	guard := http.NewCrossOriginProtection()
	return func(w http.ResponseWriter, r *http.Request) {
		if err := guard.Check(r); err != nil {
			http.Error(w, "forged", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
			return
		}
		listQuery, _ := url.ParseQuery(r.PostForm.Get("list"))
		selected := readSelection(listQuery)
		if err := change(r, r.PostForm); err != nil {
			e := apperr.Of(err)
			p.render(w, r, http.StatusUnprocessableEntity, document{Selected: selected, Failure: &failure{Message: e.Message}})
			return
		}
		http.Redirect(w, r, selected.address(), http.StatusSeeOther)
	}
}

func (p *page) addTask(r *http.Request, values url.Values) error {
	priority, err := strconv.Atoi(values.Get("priority"))
	if err != nil {
		return apperr.InvalidFields(apperr.Field{Name: "priority", Problem: "must be a whole number"})
	}
	_, err = p.Tasks.Create(r.Context(), task.Draft{Title: values.Get("title"), Priority: priority})
	return err
}

func (p *page) completeTask(r *http.Request, values url.Values) error {
	return p.changeTask(r, values, task.Change{Done: new(true)})
}

func (p *page) reopenTask(r *http.Request, values url.Values) error {
	return p.changeTask(r, values, task.Change{Done: new(false)})
}

func (p *page) changeTask(r *http.Request, values url.Values, c task.Change) error {
	id, expected, err := readTarget(r, values)
	if err != nil {
		return err
	}
	_, err = p.Tasks.Change(r.Context(), id, c, expected)
	return err
}

func (p *page) deleteTask(r *http.Request, values url.Values) error {
	id, expected, err := readTarget(r, values)
	if err != nil {
		return err
	}
	return p.Tasks.Delete(r.Context(), id, expected)
}

// readTarget returns the task that a form changes, and the version that it expects.
func readTarget(r *http.Request, values url.Values) (id int64, expected []int64, err error) {
	id, err = strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, nil, apperr.InvalidFields(apperr.Field{Name: "id", Problem: "must be a whole number"})
	}
	if text := values.Get("version"); text != "" {
		version, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, nil, apperr.InvalidFields(apperr.Field{Name: "version", Problem: "must be a whole number"})
		}
		expected = []int64{version}
	}
	return id, expected, nil
}
