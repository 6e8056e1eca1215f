package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/task"
)

// listIDs returns the ids of a list, and the target of its next page.
func (s *apiFixture) listIDs(t testing.TB, target string) (ids, next string) {
	t.Helper()
	response := s.request("GET", target, "")
	var tasks []task.Task
	if err := json.Unmarshal([]byte(response.Body), &tasks); err != nil {
		t.Fatalf("%s: %d %s", target, response.Status, response.Body)
	}
	all := make([]string, len(tasks))
	for i, one := range tasks {
		all[i] = fmt.Sprint(one.ID)
	}
	next, _, _ = strings.Cut(strings.TrimPrefix(response.Header.Get("Link"), "<"), ">")
	return strings.Join(all, " "), next
}

// newFixtureOfPriorities returns an API with the tasks 1 to 7, of which 2, 4 and 6 are done.
func newFixtureOfPriorities(t testing.TB) *apiFixture {
	s := newFixture()
	for i, priority := range []int{5, 0, 100, 5, 0, 5, 100} {
		s.create(t, fmt.Sprintf(`{"title":"Task %d","priority":%d}`, i+1, priority))
	}
	for _, id := range []int{2, 4, 6} {
		s.request("PATCH", fmt.Sprintf("/tasks/%d/done", id), "")
	}
	return s
}

func TestListOrdersItsPagesBySort(t *testing.T) {
	t.Parallel()
	s := newFixtureOfPriorities(t)
	for _, test := range []struct{ target, ids, next string }{
		{"/tasks?sort=id", "1 2 3 4 5 6 7", ""},
		{"/tasks?sort=id&limit=3", "1 2 3", "/tasks?after=3&limit=3&sort=id"},
		{"/tasks?sort=-id&limit=3", "7 6 5", "/tasks?after=5&limit=3&sort=-id"},
		{"/tasks?sort=-id&after=5&limit=3", "4 3 2", "/tasks?after=2&limit=3&sort=-id"},
		{"/tasks?sort=-id&after=2&limit=3", "1", ""},
		{"/tasks?sort=-id&after=0&limit=1", "7", "/tasks?after=7&limit=1&sort=-id"},
		{"/tasks?sort=priority", "2 5 1 4 6 3 7", ""},
		{"/tasks?sort=priority&limit=4", "2 5 1 4", "/tasks?after=priority.5.4&limit=4&sort=priority"},
		{"/tasks?sort=-priority&limit=3", "3 7 1", "/tasks?after=-priority.5.1&limit=3&sort=-priority"},
		{"/tasks?sort=-priority&limit=9&after=-priority.5.1", "4 6 2 5", ""},
		{"/tasks?sort=-priority&after=-priority.0.9223372036854775807", "", ""},
		{"/tasks?sort=-priority&done=false&q=TASK&limit=2", "3 7", "/tasks?after=-priority.100.7&done=false&limit=2&q=TASK&sort=-priority"},
		{"/tasks?sort=-priority&done=false&q=TASK&limit=2&after=-priority.100.7", "1 5", ""},
	} {
		ids, next := s.listIDs(t, test.target)
		if ids != test.ids || next != test.next {
			t.Errorf("%s: tasks %q, next %q; want %q, %q", test.target, ids, next, test.ids, test.next)
		}
		wantHeader(t, s.request("GET", test.target, ""), map[string]string{"Cache-Status": "todo-service; fwd=bypass"})
	}
}

// Between two pages the task of the cursor is changed and deleted.
func TestACursorOutlivesItsTask(t *testing.T) {
	t.Parallel()
	s := newFixtureOfPriorities(t)
	_, next := s.listIDs(t, "/tasks?sort=-priority&limit=3")
	for _, request := range [][3]string{{"PATCH", "/tasks/1", `{"priority":0}`}, {"DELETE", "/tasks/1", ""}} {
		if response := s.request(request[0], request[1], request[2]); response.Status >= 300 {
			t.Fatalf("%s: %d", request[0], response.Status)
		}
		if ids, _ := s.listIDs(t, strings.Replace(next, "limit=3", "limit=2", 1)); ids != "4 6" {
			t.Errorf("after %s: tasks %q", request[0], ids)
		}
	}
}

func TestACursorOfAnotherOrderIsRefused(t *testing.T) {
	t.Parallel()
	s := newFixtureOfPriorities(t)
	cursors := map[string]string{"id": "3", "-id": "5", "priority": "priority.5.4", "-priority": "-priority.5.1"}
	for order, cursor := range cursors {
		for sort := range cursors {
			want := http.StatusUnprocessableEntity
			if sort == order || strings.TrimPrefix(sort, "-") == "id" && strings.TrimPrefix(order, "-") == "id" {
				want = http.StatusOK
			}
			if response := s.request("GET", "/tasks?sort="+sort+"&after="+cursor, ""); response.Status != want {
				t.Errorf("cursor %s with sort=%s: %d, want %d", cursor, sort, response.Status, want)
			}
		}
	}
}

func TestCountsOfTasksFollowEachChange(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for _, step := range []struct{ method, target, body, want string }{
		{"GET", "/tasks", "", `{"total":0,"open":0,"done":0}`},
		{"POST", "/tasks", `{"title":"A"}`, `{"total":1,"open":1,"done":0}`},
		{"POST", "/tasks", `{"title":"B"}`, `{"total":2,"open":2,"done":0}`},
		{"PATCH", "/tasks/2/done", "", `{"total":2,"open":1,"done":1}`},
		{"DELETE", "/tasks/2", "", `{"total":1,"open":1,"done":0}`},
	} {
		s.request(step.method, step.target, step.body)
		response := s.request("GET", "/tasks/counts", "")
		if diff := cmp.Diff(step.want, response.Body); diff != "" || response.Status != http.StatusOK {
			t.Errorf("after %s %s: %d (-want +got):\n%s", step.method, step.target, response.Status, diff)
		}
		wantHeader(t, response, map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache", "Cache-Status": ""})
		unchanged := s.request("GET", "/tasks/counts", "", "If-None-Match", response.Header.Get("ETag"))
		if unchanged.Status != http.StatusNotModified || unchanged.Body != "" {
			t.Errorf("with its own entity tag: %d %q", unchanged.Status, unchanged.Body)
		}
	}
	counted := len(s.limiter.clients)
	if head := s.request("HEAD", "/tasks/counts", ""); head.Status != http.StatusOK || len(s.limiter.clients) != counted+1 {
		t.Errorf("HEAD: %d, counted by the limiter %d times", head.Status, len(s.limiter.clients)-counted)
	}
}
