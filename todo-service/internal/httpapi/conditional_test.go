package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestIfMatchGuardsEveryChange(t *testing.T) {
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
		refused     int // 0: it goes through
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
		{"a tag that is no version", `"abc"`, 412},
		{"the version written otherwise", `"02"`, 412},
		{"the empty tag", `""`, 412},
		{"a list longer than anyone needs", strings.Repeat(`"1",`, 1000) + `"2"`, 0},
		{"without quotes", `2`, 400},
		{"half quoted", `"2`, 400},
		{"two without a comma", `"1" "2"`, 400},
		{"any, in a list", `*, "2"`, 400},
		{"a space in a tag", `"2 "`, 400},
		{"weak in lower case", `w/"2"`, 400},
		{"nothing but commas", `,,`, 400},
		{"a lone W/", `W/`, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, request := range requests {
				s := newService()
				s.create(t, `{"title":"A"}`)
				if response := s.do("PATCH", "/tasks/1", `{"priority":1}`); response.Status != http.StatusOK {
					t.Fatal(response.Status)
				}
				before := s.state(t)
				response := s.do(request.method, request.target, request.body, "If-Match", test.match)
				want := request.ok
				if test.refused != 0 {
					want = test.refused
				}
				if response.Status != want {
					t.Errorf("%s %s: %d, want %d", request.method, request.target, response.Status, want)
				}
				if changed := s.state(t) != before; changed != (test.refused == 0) {
					t.Errorf("%s %s: changed is %t", request.method, request.target, changed)
				}
			}
		})
	}
}

func TestIfMatchOnAMissingTaskIsNotFound(t *testing.T) {
	t.Parallel()
	s := newService()
	for _, match := range []string{`"1"`, `*`, `W/"1"`, `"1","2"`} {
		if response := s.do("DELETE", "/tasks/1", "", "If-Match", match); response.Status != http.StatusNotFound {
			t.Errorf("If-Match %s: %d", match, response.Status)
		}
	}
}

// Who made it so may have died before the list was dropped.
func TestWhoLearnsOfATaskByIfMatchFindsTheListLikeThat(t *testing.T) {
	t.Parallel()
	for _, match := range []string{`"7"`, `"7", "8"`, `W/"1"`, `"x"`} {
		for target, want := range map[string]int{"/tasks/1": http.StatusPreconditionFailed, "/tasks/2": http.StatusNotFound} {
			s := newService()
			s.create(t, `{"title":"A"}`)
			for range 2 {
				s.do("GET", "/tasks", "")
			}
			if got := s.do("DELETE", target, "", "If-Match", match); got.Status != want {
				t.Errorf("DELETE %s with %s: %d, want %d", target, match, got.Status, want)
			}
			if got := s.do("GET", "/tasks", "").Header.Get("Cache-Status"); got != "todo-service; fwd=miss" {
				t.Errorf("after DELETE %s with %s: %q, want a list that is read anew", target, match, got)
			}
		}
	}
}

func TestIfMatchMayStandOnSeveralLines(t *testing.T) {
	t.Parallel()
	s := newService()
	s.create(t, `{"title":"A"}`)
	if response := s.do("PATCH", "/tasks/1/done", "", "if-match", `"7"`, "If-Match", `"1"`); response.Status != http.StatusOK {
		t.Error(response.Status)
	}
}

func TestIfNoneMatchSparesWhatTheClientHas(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/tasks", "/tasks?limit=1", "/tasks?done=false", "/tasks/1"} {
		s := newService()
		s.create(t, `{"title":"A"}`)
		s.create(t, `{"title":"B"}`)
		first := s.do("GET", target, "")
		tag := first.Header.Get("ETag")
		for _, test := range []struct {
			match string
			held  bool
		}{
			{tag, true},
			{"W/" + tag, true}, // the comparison is the weak one
			{"*", true},
			{` * `, true},
			{`"other", ` + tag, true},
			{`W/"other" ,, W/` + tag, true},
			{`"other"`, false},
			{`""`, false},
			{strings.Trim(tag, `"`), false}, // no tag at all: the whole answer is never wrong
			{tag + ` "x"`, false},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				response := s.do(method, target, "", "If-None-Match", test.match)
				if held := response.Status == http.StatusNotModified; held != test.held || !held && response.Status != http.StatusOK {
					t.Errorf("%s %s with %s: %d, want 304: %v", method, target, test.match, response.Status, test.held)
				}
				wantHeader(t, response, map[string]string{"ETag": tag, "Cache-Control": "no-cache", "Link": first.Header.Get("Link")})
				if test.held {
					wantHeader(t, response, map[string]string{"Content-Type": "", "Content-Length": ""})
					if response.Body != "" {
						t.Errorf("%s %s: 304 with a body", method, target)
					}
				}
			}
		}
		s.do("PATCH", "/tasks/1", `{"title":"C"}`)
		if response := s.do("GET", target, "", "If-None-Match", tag); response.Status != http.StatusOK || response.Header.Get("ETag") == tag {
			t.Errorf("%s after a change: %d with the tag %s", target, response.Status, response.Header.Get("ETag"))
		}
	}
}
