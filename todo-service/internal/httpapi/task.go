package httpapi

import (
	"net/http"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

func (a *api) create(w http.ResponseWriter, r *http.Request) error {
	draft, err := readDraft(w, r)
	if err != nil {
		return err
	}
	draft.Key, err = task.ParseIdempotencyKey(r.Header.Values("Idempotency-Key"))
	if err != nil {
		return httpserver.StatusError(http.StatusBadRequest, "%s", apperr.Of(err).Message)
	}
	t, err := a.Tasks.Create(r.Context(), draft)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/tasks/"+strconv.FormatInt(t.ID, 10))
	return writeTask(w, http.StatusCreated, t)
}

func (a *api) get(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	t, err := a.Tasks.Get(r.Context(), id)
	if err != nil {
		return err
	}
	body, err := encode(t)
	if err != nil {
		return err
	}
	writeUnlessHeld(w, r, body, versionTag(t.Version))
	return nil
}

func (a *api) change(w http.ResponseWriter, r *http.Request) error {
	change, err := readChange(w, r)
	if err != nil {
		return err
	}
	return a.apply(w, r, change)
}

func (a *api) complete(w http.ResponseWriter, r *http.Request) error {
	if err := readNothing(w, r, mergePatch); err != nil {
		return err
	}
	done := true
	return a.apply(w, r, task.Change{Done: &done})
}

func (a *api) apply(w http.ResponseWriter, r *http.Request, change task.Change) error {
	id, expected, err := target(r)
	if err != nil {
		return err
	}
	t, err := a.Tasks.Change(r.Context(), id, change, expected)
	if err != nil {
		return err
	}
	return writeTask(w, http.StatusOK, t)
}

func (a *api) remove(w http.ResponseWriter, r *http.Request) error {
	if err := readNothing(w, r); err != nil {
		return err
	}
	id, expected, err := target(r)
	if err != nil {
		return err
	}
	if err := a.Tasks.Delete(r.Context(), id, expected); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// target reads which task a request changes, and the versions it insists on.
func target(r *http.Request) (id int64, expected []int64, err error) {
	if id, err = pathID(r); err != nil {
		return 0, nil, err
	}
	expected, err = expectedVersions(r.Header)
	return id, expected, err
}
