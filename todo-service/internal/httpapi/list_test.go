package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/task"
)

func TestListSelectsTasksByItsParameters(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for i := range 5 {
		s.create(t, fmt.Sprintf(`{"title":"Task %d & co"}`, i+1))
	}
	for _, id := range []int{2, 4} {
		s.request("PATCH", fmt.Sprintf("/tasks/%d/done", id), "")
	}
	for _, test := range []struct {
		target, ids, link string
	}{
		{"/tasks", "1 2 3 4 5", ""},
		{"/tasks?", "1 2 3 4 5", ""},
		{"/tasks?limit=5", "1 2 3 4 5", ""},
		{"/tasks?limit=1000", "1 2 3 4 5", ""},
		{"/tasks?limit=2", "1 2", `</tasks?after=2&limit=2>; rel="next"`},
		{"/tasks?limit=2&after=2", "3 4", `</tasks?after=4&limit=2>; rel="next"`},
		{"/tasks?limit=2&after=4", "5", ""},
		{"/tasks?after=5", "", ""},
		{"/tasks?after=0", "1 2 3 4 5", ""},
		{"/tasks?after=9223372036854775807", "", ""},
		{"/tasks?done=true", "2 4", ""},
		{"/tasks?done=false&limit=1", "1", `</tasks?after=1&done=false&limit=1>; rel="next"`},
		{"/tasks?q=task+3", "3", ""},
		{"/tasks?q=%20%26%20co&limit=4", "1 2 3 4", `</tasks?after=4&limit=4&q=+%26+co>; rel="next"`},
		{"/tasks?q=%25", "", ""},
		{"/tasks?q=", "1 2 3 4 5", ""},
		{"/tasks?q=task&done=true&limit=1&after=2", "4", ""},
	} {
		response := s.request("GET", test.target, "")
		var tasks []task.Task
		if err := json.Unmarshal([]byte(response.Body), &tasks); err != nil || tasks == nil {
			t.Errorf("%s: %d, error %v", test.target, response.Status, err)
		}
		ids := make([]string, len(tasks))
		for i, one := range tasks {
			ids[i] = fmt.Sprint(one.ID)
		}
		if got := strings.Join(ids, " "); got != test.ids {
			t.Errorf("%s: tasks %q, want %q", test.target, got, test.ids)
		}
		wantHeader(t, response, map[string]string{"Link": test.link})
	}
}

// Following Link returns every task once, in order, and keeps the filter.
func TestListLinksToItsNextPageUntilTheLast(t *testing.T) {
	t.Parallel()
	s := newFixture()
	var want []int64
	for i := range int64(task.MaxLimit + 5) {
		s.create(t, `{"title":"x > \"y\" & z"}`)
		want = append(want, i+1)
	}
	for target, requests := range map[string]int{
		"/tasks": 2,
		"/tasks?limit=300&done=false&q=" + url.QueryEscape(`> "Y" &`): 4,
	} {
		var got []int64
		made := 0
		for next := target; next != ""; made++ {
			response := s.request("GET", next, "")
			var tasks []task.Task
			if err := json.Unmarshal([]byte(response.Body), &tasks); err != nil {
				t.Fatalf("%s: %d, error %v", next, response.Status, err)
			}
			for _, one := range tasks {
				got = append(got, one.ID)
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(response.Header.Get("Link"), "<"), ">")
		}
		if diff := cmp.Diff(want, got); diff != "" || made != requests {
			t.Errorf("%s: %d requests, want %d; tasks (-want +got):\n%s", target, made, requests, diff)
		}
	}
}

func TestCacheStatusTellsWhetherAListWasCached(t *testing.T) {
	t.Parallel()
	s := newFixture()
	const hit, miss, bypass = "todo-service; hit", "todo-service; fwd=miss", "todo-service; fwd=bypass"
	for i, step := range []struct{ method, target, body, want string }{
		{"GET", "/tasks", "", miss},
		{"GET", "/tasks", "", hit},
		{"HEAD", "/tasks", "", hit},
		{"GET", "/tasks?limit=1000", "", bypass},
		{"POST", "/tasks", `{"title":"A"}`, ""},
		{"GET", "/tasks?done=false", "", bypass},
		{"GET", "/tasks", "", miss},
		{"GET", "/tasks", "", hit},
		{"PATCH", "/tasks/1/done", "", ""},
		{"GET", "/tasks", "", miss},
		{"PATCH", "/tasks/1/done", "", ""}, // the process of the first change may have crashed before it invalidated the list
		{"GET", "/tasks", "", miss},
		{"GET", "/tasks", "", hit},
		{"GET", "/tasks/1", "", ""},
		{"GET", "/tasks?limit=0", "", ""},
	} {
		response := s.request(step.method, step.target, step.body)
		if got := response.Header.Get("Cache-Status"); got != step.want {
			t.Errorf("step %d, %s %s: %q, want %q", i, step.method, step.target, got, step.want)
		}
	}
}

func TestAnErrorOfTheStoreIs500WithoutItsText(t *testing.T) {
	t.Parallel()
	s := newFixtureOver(brokenStore{})
	for _, target := range []string{"/tasks", "/tasks?limit=1", "/tasks/1", "/tasks/counts"} {
		response := s.request("GET", target, "")
		if got := response.Body; response.Status != http.StatusInternalServerError || strings.Contains(got, "secret") {
			t.Errorf("%s: %d %s", target, response.Status, got)
		}
		wantHeader(t, response, map[string]string{"Content-Type": "application/problem+json", "Cache-Status": ""})
	}
}

type brokenStore struct{ task.Store }

var errInternal = errors.New("pq: secret table on secret host")

func (brokenStore) Get(context.Context, task.Owner, int64) (task.Task, error) {
	return task.Task{}, errInternal
}
func (brokenStore) List(context.Context, task.Owner, task.Query) ([]task.Task, error) {
	return nil, errInternal
}
func (brokenStore) Count(context.Context, task.Owner) (task.Counts, error) {
	return task.Counts{}, errInternal
}
