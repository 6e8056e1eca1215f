package httpapi

import (
	"net/http"
	"strconv"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

func (a *api) createTask(w http.ResponseWriter, r *http.Request) error {
	draft, err := readDraft(w, r)
	if err != nil {
		return err
	}
	draft.Key, err = task.ParseIdempotencyKey(r.Header.Values("Idempotency-Key"))
	if err != nil {
		return httpserver.StatusError(http.StatusBadRequest, "%s", apperr.Of(err).Message)
	}
	t, err := a.Tasks.Create(r.Context(), a.Owner(r.Context()), draft)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/tasks/"+strconv.FormatInt(t.ID, 10))
	return writeTask(w, http.StatusCreated, t)
}

func (a *api) getTask(w http.ResponseWriter, r *http.Request) error {
	id, err := parsePathID(r)
	if err != nil {
		return err
	}
	t, err := a.Tasks.Get(r.Context(), a.Owner(r.Context()), id)
	if err != nil {
		return err
	}
	body, err := encodeJSON(t)
	if err != nil {
		return err
	}
	writeConditional(w, r, body, versionETag(t.Version))
	return nil
}

func (a *api) changeTask(w http.ResponseWriter, r *http.Request) error {
	change, err := readChange(w, r)
	if err != nil {
		return err
	}
	return a.applyChange(w, r, change)
}

func (a *api) completeTask(w http.ResponseWriter, r *http.Request) error {
	if err := readEmptyBody(w, r, mergePatch); err != nil {
		return err
	}
	done := true
	return a.applyChange(w, r, task.Change{Done: &done})
}

func (a *api) applyChange(w http.ResponseWriter, r *http.Request, change task.Change) error {
	id, expected, err := readTarget(r)
	if err != nil {
		return err
	}
	t, err := a.Tasks.Change(r.Context(), a.Owner(r.Context()), id, change, expected)
	if err != nil {
		return err
	}
	return writeTask(w, http.StatusOK, t)
}

func (a *api) deleteTask(w http.ResponseWriter, r *http.Request) error {
	if err := readEmptyBody(w, r); err != nil {
		return err
	}
	id, expected, err := readTarget(r)
	if err != nil {
		return err
	}
	if err := a.Tasks.Delete(r.Context(), a.Owner(r.Context()), id, expected); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readTarget returns the task that a request changes, and the versions that it expects.
func readTarget(r *http.Request) (id int64, expected []int64, err error) {
	if id, err = parsePathID(r); err != nil {
		return 0, nil, err
	}
	expected, err = expectedVersions(r.Header)
	return id, expected, err
}
