package httpapi_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// wantAnswer wants an answer that a client can read and that blames nobody but it.
func wantAnswer(t *testing.T, response answer) {
	t.Helper()
	text := response.Body
	if response.Status >= 500 || !json.Valid([]byte(text)) {
		t.Errorf("%d %s", response.Status, text)
	}
	if refused := response.Status >= 400; refused != (response.Header.Get("Content-Type") == "application/problem+json") {
		t.Errorf("%d is %s", response.Status, response.Header.Get("Content-Type"))
	}
}

func FuzzBody(f *testing.F) {
	for _, input := range append(badCreations(), badChanges()...) {
		if len(input.body) < 1000 {
			f.Add(input.body)
		}
	}
	f.Add(`{"title":"A","priority":1,"done":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := newService()
		s.create(t, `{"title":"A"}`)
		wantAnswer(t, s.do("POST", "/tasks", text, "Content-Type", "application/json"))
		wantAnswer(t, s.do("PATCH", "/tasks/1", text, "Content-Type", "application/merge-patch+json"))
	})
}

func FuzzQuery(f *testing.F) {
	for _, input := range badLists() {
		_, query, _ := strings.Cut(input.target, "?")
		f.Add(query)
	}
	f.Add("after=1&limit=2&done=true&q=a")
	s := newService()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, query string) {
		wantAnswer(t, s.doURL("GET", &url.URL{Path: "/tasks", RawQuery: query}))
		wantAnswer(t, s.doURL("GET", &url.URL{Path: "/tasks/1/events", RawQuery: query}))
	})
}

func FuzzID(f *testing.F) {
	for _, id := range []string{"1", "0", "-1", "9223372036854775808", "a/b", "..", "1\x00", "\xff"} {
		f.Add(id)
	}
	s := newService()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, id string) {
		wantAnswer(t, s.doURL("GET", &url.URL{Path: "/tasks/" + id, RawPath: "/tasks/" + url.PathEscape(id)}))
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, match := range []string{`"1"`, `*`, `W/"1", "2"`, `"`, `,`, `""`, "\"\xff\""} {
		f.Add(match)
	}
	s := newService()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, match string) {
		wantAnswer(t, s.do("PATCH", "/tasks/1/done", "", "If-Match", match))
	})
}
