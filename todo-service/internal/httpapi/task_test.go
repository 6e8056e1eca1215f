package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/task"
)

// The JSON is compared byte by byte.
func TestTaskJSONAndHeadersOfEachMethod(t *testing.T) {
	t.Parallel()
	s := newFixture()
	const (
		open      = `{"id":1,"title":"Learn Go","priority":1,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
		completed = `{"id":1,"title":"Learn Go","priority":1,"done":true,"created_at":"2026-01-15T10:00:00Z","completed_at":"2026-01-15T10:00:00Z","version":2}`
		plain     = `{"id":2,"title":"\"<b>&\" 日本 é","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	)
	for _, step := range []struct {
		method, target, body string
		status               int
		want                 string
		header               map[string]string
	}{
		{"GET", "/tasks", "", 200, `[]`, map[string]string{"ETag": `"T1PNoYwrqgwDVLtfmj7L5Q"`}},
		{"POST", "/tasks", `{"title":"Learn Go","priority":1}`, 201, open, map[string]string{"Location": "/tasks/1", "ETag": `"1"`}},
		{"GET", "/tasks/1", "", 200, open, map[string]string{"Location": "", "ETag": `"1"`}},
		{"GET", "/tasks", "", 200, `[` + open + `]`, map[string]string{"Link": ""}},
		{"PATCH", "/tasks/1/done", "", 200, completed, map[string]string{"ETag": `"2"`}},
		{"PATCH", "/tasks/1/done", "", 200, completed, map[string]string{"ETag": `"2"`}},
		{"POST", "/tasks", `{"title":" \"<b>&\" 日本 é "}`, 201, plain, map[string]string{"Location": "/tasks/2"}},
		{"GET", "/tasks?limit=2", "", 200, `[` + completed + `,` + plain + `]`, nil},
	} {
		response := s.request(step.method, step.target, step.body)
		if got := response.Body; response.Status != step.status || got != step.want {
			t.Errorf("%s %s: %d %s\nwant %d %s", step.method, step.target, response.Status, got, step.status, step.want)
		}
		wantHeader(t, response, step.header)
		wantHeader(t, response, map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"})
	}
}

func TestAMergePatchKeepsAbsentMembers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body, contentType, want string
	}{
		{"title", `{"title":"B"}`, "application/json", `{"id":1,"title":"B","priority":5,"done":false,"created_at":"2026-01-15T10:00:00Z","version":2}`},
		{"priority", `{"priority":0}`, "application/merge-patch+json", `{"id":1,"title":"A","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":2}`},
		{"done", `{"done":true}`, "application/json; charset=utf-8", `{"id":1,"title":"A","priority":5,"done":true,"created_at":"2026-01-15T10:00:00Z","completed_at":"2026-01-15T10:00:00Z","version":2}`},
		{"a whole number in any notation", `{"priority":1e1}`, "application/json", `{"id":1,"title":"A","priority":10,"done":false,"created_at":"2026-01-15T10:00:00Z","version":2}`},
		{"nothing", `{}`, "application/json", `{"id":1,"title":"A","priority":5,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`},
		{"no difference", `{"title":"A","priority":5,"done":false}`, "application/json", `{"id":1,"title":"A","priority":5,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newFixture()
			s.create(t, `{"title":"A","priority":5}`)
			response := s.request("PATCH", "/tasks/1", test.body, "Content-Type", test.contentType)
			if got := response.Body; response.Status != http.StatusOK || got != test.want {
				t.Errorf("%d %s\nwant %s", response.Status, got, test.want)
			}
		})
	}
}

func TestADeletedTaskIsNotFound(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"A"}`)
	response := s.request("DELETE", "/tasks/1", "")
	if got := response.Body; response.Status != http.StatusNoContent || got != "" {
		t.Errorf("%d %q", response.Status, got)
	}
	wantHeader(t, response, map[string]string{"Content-Type": "", "ETag": ""})
	for _, again := range []string{"DELETE", "GET"} {
		if response := s.request(again, "/tasks/1", ""); response.Status != http.StatusNotFound {
			t.Errorf("%s: %d", again, response.Status)
		}
	}
}

func TestRequestsWithoutABodyNeedNoContentType(t *testing.T) {
	t.Parallel()
	for _, request := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/tasks", 200}, {"GET", "/tasks/1", 200}, {"PATCH", "/tasks/1/done", 200}, {"DELETE", "/tasks/1", 204},
	} {
		for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded"} {
			for _, chunked := range []bool{false, true} {
				s := newFixture()
				s.create(t, `{"title":"A"}`)
				r := httptest.NewRequest(request.method, request.target, http.NoBody)
				if chunked {
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1
				}
				if response := s.serve(r, "Content-Type", kind); response.Status != request.status {
					t.Errorf("%s %s as %q, chunked %t: %d", request.method, request.target, kind, chunked, response.Status)
				}
			}
		}
	}
}

// Some clients always send a body.
func TestANeedlessBodyMayBeAnEmptyObject(t *testing.T) {
	t.Parallel()
	for _, request := range []struct {
		method, target, kind string
		status               int
	}{
		{"PATCH", "/tasks/1/done", "application/json", 200},
		{"PATCH", "/tasks/1/done", "application/merge-patch+json", 200},
		{"DELETE", "/tasks/1", "application/json; charset=utf-8", 204},
	} {
		for _, chunked := range []bool{false, true} {
			s := newFixture()
			s.create(t, `{"title":"A"}`)
			r := httptest.NewRequest(request.method, request.target, strings.NewReader(" {} "))
			if chunked {
				r.ContentLength = -1
			}
			if response := s.serve(r, "Content-Type", request.kind); response.Status != request.status {
				t.Errorf("%s %s as %s, chunked %t: %d", request.method, request.target, request.kind, chunked, response.Status)
			}
		}
	}
}

func TestHeadHasTheHeadersOfGetWithoutTheBody(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for range 100 { // a body larger than net/http buffers to compute Content-Length itself
		s.create(t, `{"title":"A"}`)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	for _, target := range []string{"/tasks", "/tasks?limit=100", "/tasks/1", "/tasks/101"} {
		got, err := server.Client().Get(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		head, err := server.Client().Head(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		defer head.Body.Close()
		if data, _ := io.ReadAll(head.Body); len(data) > 0 || got.ContentLength <= 0 || head.StatusCode != got.StatusCode || head.ContentLength != got.ContentLength {
			t.Errorf("HEAD %s: %s, length %d, body %q; GET: %s, length %d", target, head.Status, head.ContentLength, data, got.Status, got.ContentLength)
		}
		wantHeader(t, httpResponse{Header: head.Header}, map[string]string{"ETag": got.Header.Get("ETag"), "Content-Type": got.Header.Get("Content-Type")})
	}
}

// Stores return microseconds; the JSON has no more digits than needed.
func TestTimesAreWrittenInUTCWithMicroseconds(t *testing.T) {
	t.Parallel()
	s := newFixture()
	at := start.Add(123400 * time.Microsecond)
	if _, err := s.store.Create(t.Context(), task.NoOwner, task.Event{ID: "e", Type: task.Created, Task: task.Task{Title: "A", CreatedAt: at, Version: 1}, At: at}, task.IdempotencyKey{}); err != nil {
		t.Fatal(err)
	}
	const want = `{"id":1,"title":"A","priority":0,"done":false,"created_at":"2026-01-15T10:00:00.1234Z","version":1}`
	if got := s.request("GET", "/tasks/1", "").Body; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARepeatedCreationGetsTheFirstResponse(t *testing.T) {
	t.Parallel()
	s := newFixture()
	create := func() httpResponse { return s.request("POST", "/tasks", `{"title":"A"}`, "Idempotency-Key", `"k"`) }
	first := create()
	s.request("PATCH", "/tasks/1", `{"title":"B","done":true}`)
	for range 2 {
		again := create()
		if again.Status != http.StatusCreated || again.Body != first.Body {
			t.Errorf("%d %s\nwant 201 %s", again.Status, again.Body, first.Body)
		}
		wantHeader(t, again, map[string]string{"Location": "/tasks/1", "ETag": `"1"`})
		s.request("DELETE", "/tasks/1", "")
	}
	other := s.request("POST", "/tasks", `{"title":"C"}`, "Idempotency-Key", "k")
	if other.Status != http.StatusUnprocessableEntity || !strings.Contains(other.Body, `"errors":[{"name":"Idempotency-Key"`) {
		t.Errorf("another body: %d %s", other.Status, other.Body)
	}
	wantHeader(t, other, map[string]string{"Location": "", "ETag": ""})
}

func TestPriorityAcceptsEveryNotationOfAnInteger(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for literal, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "0e7": "0", "0E-7": "0",
		"1.0": "1", "1e0": "1", "10e-1": "1", "0.1e1": "1", "1000000000000000000000e-21": "1",
		"11": "11", "1.1e1": "11", "0.11E+2": "11", "100.000": "100", "1e2": "100",
	} {
		response := s.request(http.MethodPost, "/tasks", `{"title":"A","priority":`+literal+`}`)
		if !strings.Contains(response.Body, `"priority":`+want+`,`) {
			t.Errorf("%s: %d %s, want %s", literal, response.Status, response.Body, want)
		}
	}
}
