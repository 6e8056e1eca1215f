package httpapi_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// wantClientStatus wants a well-formed response that is no server error.
func wantClientStatus(t *testing.T, response httpResponse) {
	t.Helper()
	text := response.Body
	if response.Status >= 500 || text != "" && !json.Valid([]byte(text)) {
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
		s := newFixture()
		s.create(t, `{"title":"A"}`)
		wantClientStatus(t, s.request("POST", "/tasks", text, "Content-Type", "application/json"))
		wantClientStatus(t, s.request("PATCH", "/tasks/1", text, "Content-Type", "application/merge-patch+json"))
		wantClientStatus(t, s.request("PATCH", "/tasks/1/done", text, "Content-Type", "application/json"))
		wantClientStatus(t, s.request("DELETE", "/tasks/1", text, "Content-Type", "application/json"))
	})
}

func FuzzQuery(f *testing.F) {
	for _, input := range badLists() {
		_, query, _ := strings.Cut(input.target, "?")
		f.Add(query)
	}
	f.Add("after=1&limit=2&done=true&q=a")
	f.Add("after=-priority.5.1&sort=-priority")
	s := newFixture()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, query string) {
		wantClientStatus(t, s.requestURL("GET", &url.URL{Path: "/tasks", RawQuery: query}))
		wantClientStatus(t, s.requestURL("GET", &url.URL{Path: "/tasks/1/events", RawQuery: query}))
		wantClientStatus(t, s.requestURL("GET", &url.URL{Path: "/tasks/counts", RawQuery: query}))
	})
}

func FuzzID(f *testing.F) {
	for _, id := range []string{"1", "0", "-1", "9223372036854775808", "counts", "a/b", "..", "1\x00", "\xff"} {
		f.Add(id)
	}
	s := newFixture()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, id string) {
		wantClientStatus(t, s.requestURL("GET", &url.URL{Path: "/tasks/" + id, RawPath: "/tasks/" + url.PathEscape(id)}))
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, match := range []string{`"1"`, `*`, `W/"1", "2"`, `"`, `,`, `""`, "\"\xff\""} {
		f.Add(match)
	}
	s := newFixture()
	s.create(f, `{"title":"A"}`)
	f.Fuzz(func(t *testing.T, match string) {
		wantClientStatus(t, s.request("PATCH", "/tasks/1/done", "", "If-Match", match))
	})
}

// FuzzHeader sends every header that the API reads to every route that reads it.
func FuzzHeader(f *testing.F) {
	names := []string{
		"If-Match", "If-None-Match", "Idempotency-Key", "Content-Type", "Content-Encoding", "X-Request-Id", "X-Forwarded-For", "Traceparent",
	}
	for i := range names {
		for _, value := range []string{`"1"`, `W/"1", *`, "application/json; charset=\"UTF-8\"", "10.0.0.1, ::1%25", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "\xff\x00"} {
			f.Add(uint8(i), value)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		s, name := newFixture(), names[int(which)%len(names)]
		s.create(t, `{"title":"A"}`)
		for _, request := range []struct{ method, target, body string }{
			{"POST", "/tasks", `{"title":"B"}`}, {"GET", "/tasks", ""}, {"GET", "/tasks?limit=1", ""}, {"GET", "/tasks/1", ""},
			{"PATCH", "/tasks/1", `{"title":"C"}`}, {"PATCH", "/tasks/1/done", ""}, {"DELETE", "/tasks/1", ""},
		} {
			wantClientStatus(t, s.request(request.method, request.target, request.body, name, value))
		}
	})
}
