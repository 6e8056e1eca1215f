package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestIfMatchIsCheckedByEveryChange(t *testing.T) {
	t.Parallel()
	requests := []struct {
		method, target, body string
		ok                   int
	}{
		{"PATCH", "/tasks/1", `{"title":"B"}`, 200},
		{"PATCH", "/tasks/1/done", "", 200},
		{"DELETE", "/tasks/1", "", 204},
	}
	tests := []struct {
		name, match string
		refused     int // status; 0 when the change is made
	}{
		{"the version", `"2"`, 0},
		{"any", `*`, 0},
		{"any, with spaces", ` * `, 0},
		{"a list that has it", `"1", "2" ,"7"`, 0},
		{"a list with empty entries", `, "2",,`, 0},
		{"an older version", `"1"`, 412},
		{"a later version", `"3"`, 412},
		{"a list without it", `"1","3"`, 412},
		{"a weak tag never matches", `W/"2"`, 412},
		{"weak tags in a list never match", `W/"2", "1"`, 412},
		{"a tag that is not a version", `"abc"`, 412},
		{"the version with a leading zero", `"02"`, 412},
		{"the empty tag", `""`, 412},
		{"a very long list", strings.Repeat(`"1",`, 1000) + `"2"`, 0},
		{"without quotes", `2`, 400},
		{"half quoted", `"2`, 400},
		{"two without a comma", `"1" "2"`, 400},
		{"any, in a list", `*, "2"`, 400},
		{"a space in a tag", `"2 "`, 400},
		{"weak in lower case", `w/"2"`, 400},
		{"commas alone", `,,`, 400},
		{"W/ alone", `W/`, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, request := range requests {
				s := newFixture()
				s.create(t, `{"title":"A"}`)
				if response := s.request("PATCH", "/tasks/1", `{"priority":1}`); response.Status != http.StatusOK {
					t.Fatal(response.Status)
				}
				before := s.dumpStore(t)
				response := s.request(request.method, request.target, request.body, "If-Match", test.match)
				want := request.ok
				if test.refused != 0 {
					want = test.refused
				}
				if response.Status != want {
					t.Errorf("%s %s: %d, want %d", request.method, request.target, response.Status, want)
				}
				if changed := s.dumpStore(t) != before; changed != (test.refused == 0) {
					t.Errorf("%s %s: changed is %t", request.method, request.target, changed)
				}
			}
		})
	}
}

func TestIfMatchOnAnUnknownTaskIsNotFound(t *testing.T) {
	t.Parallel()
	s := newFixture()
	for _, match := range []string{`"1"`, `*`, `W/"1"`, `"1","2"`} {
		if response := s.request("DELETE", "/tasks/1", "", "If-Match", match); response.Status != http.StatusNotFound {
			t.Errorf("If-Match %s: %d", match, response.Status)
		}
	}
}

// The process that made the last change may have crashed before it invalidated the list.
func TestARefusedIfMatchInvalidatesTheCachedList(t *testing.T) {
	t.Parallel()
	for _, match := range []string{`"7"`, `"7", "8"`, `W/"1"`, `"x"`} {
		for target, want := range map[string]int{"/tasks/1": http.StatusPreconditionFailed, "/tasks/2": http.StatusNotFound} {
			s := newFixture()
			s.create(t, `{"title":"A"}`)
			for range 2 {
				s.request("GET", "/tasks", "")
			}
			if got := s.request("DELETE", target, "", "If-Match", match); got.Status != want {
				t.Errorf("DELETE %s with %s: %d, want %d", target, match, got.Status, want)
			}
			if got := s.request("GET", "/tasks", "").Header.Get("Cache-Status"); got != "todo-service; fwd=miss" {
				t.Errorf("after DELETE %s with %s: %q, want a list from the store", target, match, got)
			}
		}
	}
}

func TestIfMatchMayHaveSeveralHeaderLines(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"A"}`)
	if response := s.request("PATCH", "/tasks/1/done", "", "if-match", `"7"`, "If-Match", `"1"`); response.Status != http.StatusOK {
		t.Error(response.Status)
	}
}

func TestIfNoneMatchIsNotModifiedWhenTheTagMatches(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/tasks", "/tasks?limit=1", "/tasks?done=false", "/tasks/1"} {
		s := newFixture()
		s.create(t, `{"title":"A"}`)
		s.create(t, `{"title":"B"}`)
		first := s.request("GET", target, "")
		tag := first.Header.Get("ETag")
		for _, test := range []struct {
			match   string
			matches bool
		}{
			{tag, true},
			{"W/" + tag, true}, // the comparison is weak
			{"*", true},
			{` * `, true},
			{`"other", ` + tag, true},
			{`W/"other" ,, W/` + tag, true},
			{`"other"`, false},
			{`""`, false},
			{strings.Trim(tag, `"`), false}, // malformed: a full response is always correct
			{tag + ` "x"`, false},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				response := s.request(method, target, "", "If-None-Match", test.match)
				if matches := response.Status == http.StatusNotModified; matches != test.matches || !matches && response.Status != http.StatusOK {
					t.Errorf("%s %s with %s: %d, want 304: %v", method, target, test.match, response.Status, test.matches)
				}
				wantHeader(t, response, map[string]string{"ETag": tag, "Cache-Control": "no-cache", "Link": first.Header.Get("Link")})
				if test.matches {
					wantHeader(t, response, map[string]string{"Content-Type": "", "Content-Length": ""})
					if response.Body != "" {
						t.Errorf("%s %s: 304 with a body", method, target)
					}
				}
			}
		}
		s.request("PATCH", "/tasks/1", `{"title":"C"}`)
		if response := s.request("GET", target, "", "If-None-Match", tag); response.Status != http.StatusOK || response.Header.Get("ETag") == tag {
			t.Errorf("%s after a change: %d with tag %s", target, response.Status, response.Header.Get("ETag"))
		}
	}
}
