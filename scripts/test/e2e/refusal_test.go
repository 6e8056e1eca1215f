package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestInvalidRequestsGetAProblemAndChangeNothing(t *testing.T) {
	task := create(t, "Left alone")
	path := fmt.Sprintf("/tasks/%d", task.ID)
	before := call(t, http.MethodGet, "/tasks", "")

	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		says                     string // among the answer's words
	}{
		{"broken JSON", "POST", "/tasks", `{"title":`, 400, "JSON"},
		{"an unknown key", "POST", "/tasks", `{"title":"x","colour":"red"}`, 400, "colour"},
		{"a duplicate key", "POST", "/tasks", `{"title":"x","title":"y"}`, 400, "title"},
		{"a wrong type", "POST", "/tasks", `{"title":1}`, 422, "title"},
		{"nested too deep", "POST", "/tasks", strings.Repeat(`{"title":`, 40) + "1" + strings.Repeat("}", 40), 400, ""},
		{"no title", "POST", "/tasks", `{}`, 422, "title"},
		{"a blank title", "POST", "/tasks", `{"title":" \t "}`, 422, "title"},
		{"a title of 501", "POST", "/tasks", fmt.Sprintf(`{"title":%q}`, strings.Repeat("é", 501)), 422, "title"},
		{"invalid UTF-8", "POST", "/tasks", "{\"title\":\"\xff\"}", 400, "UTF-8"},
		{"a NUL", "POST", "/tasks", `{"title":"a\u0000b"}`, 422, "title"},
		{"a priority of 101", "POST", "/tasks", `{"title":"x","priority":101}`, 422, "priority"},
		{"a priority of null", "PATCH", path, `{"priority":null}`, 422, "priority"},
		{"a body of 65 KiB", "POST", "/tasks", fmt.Sprintf(`{"title":%q}`, strings.Repeat("x", 65<<10)), 413, ""},
		{"id 0", "GET", "/tasks/0", "", 422, "id"},
		{"a negative id", "PATCH", "/tasks/-1/done", "", 422, "id"},
		{"an id above int64", "DELETE", "/tasks/9223372036854775808", "", 422, "id"},
		{"an id that is no number", "GET", "/tasks/one", "", 422, "id"},
		{"an id that is not there", "GET", "/tasks/9223372036854775807", "", 404, ""},
		{"limit 0", "GET", "/tasks?limit=0", "", 422, "limit"},
		{"limit 1001", "GET", "/tasks?limit=1001", "", 422, "limit"},
		{"a cursor that is no number", "GET", "/tasks?after=x", "", 422, "after"},
		{"a negative cursor", "GET", "/tasks?after=-1", "", 422, "after"},
		{"done=maybe", "GET", "/tasks?done=maybe", "", 422, "done"},
		{"an unknown route", "GET", "/nothing", "", 404, ""},
		{"an unknown method", "PUT", "/tasks", `{"title":"x"}`, 405, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkProblem(t, call(t, tc.method, tc.path, tc.body), tc.status, tc.says)
		})
	}
	for name, contentType := range map[string]string{"form encoding": "application/x-www-form-urlencoded", "plain text": "text/plain", "no content type": ""} {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, call(t, http.MethodPost, "/tasks", `{"title":"x"}`, "Content-Type", contentType), 415, "application/json")
		})
	}
	t.Run("a version that moved on", func(t *testing.T) {
		checkProblem(t, call(t, http.MethodPatch, path, `{"priority":3}`, "If-Match", `"9"`), 412, "")
	})

	if after := call(t, http.MethodGet, "/tasks", ""); !bytes.Equal(after.body, before.body) {
		t.Errorf("the list changed:\n%s\n%s", before.body, after.body)
	}
}

func checkProblem(t *testing.T, a answer, status int, says string) {
	t.Helper()
	problem := decode[struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Error     string `json:"error"`
		RequestID string `json:"request_id"`
	}](t, a, status)
	if kind := a.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type: %s", kind)
	}
	if problem.Type == "" || problem.Title == "" || problem.Status != status || problem.Detail == "" || problem.Error == "" || problem.RequestID == "" {
		t.Errorf("an incomplete problem: %s", a.body)
	}
	if !bytes.Contains(a.body, []byte(says)) {
		t.Errorf("does not speak of %q: %s", says, a.body)
	}
	for _, inside := range []string{"pq:", "SQL", "goroutine", ".go:", "127.0.0.1"} {
		if bytes.Contains(a.body, []byte(inside)) {
			t.Errorf("shows %q: %s", inside, a.body)
		}
	}
}
