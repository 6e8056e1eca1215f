package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/todo/contracts/event"
)

func TestHistoryIsAnArrayOfEventsInTheFormOfTheContract(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"<Learn> & \"go\""}`)
	s.request("PATCH", "/tasks/1/done", "")
	s.request("DELETE", "/tasks/1", "")
	response := s.request("GET", "/tasks/1/events", "")
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(response.Body), &all); err != nil || len(all) != 3 {
		t.Fatalf("%d %s", response.Status, response.Body)
	}
	for i, want := range []string{event.Created, event.Completed, event.Deleted} {
		e, err := event.Parse(all[i])
		if err != nil {
			t.Fatal(err)
		}
		if again, err := e.Marshal(); string(again) != string(all[i]) || err != nil {
			t.Errorf("got %s, which the contract encodes as %s, error %v", all[i], again, err)
		}
		if e.Type != want || e.ID == "" || e.Task.Version != int64(i+1) || e.TaskTitle != `<Learn> & "go"` {
			t.Errorf("event %d is %s", i, all[i])
		}
	}
	wantHeader(t, response, map[string]string{"Content-Type": "application/json", "Link": ""})
	if head := s.request("HEAD", "/tasks/1/events", ""); head.Status != http.StatusOK || head.Header.Get("Content-Length") != response.Header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v", head.Status, head.Header)
	}
}

func TestHistoryLinksToItsNextPage(t *testing.T) {
	t.Parallel()
	s := newFixture()
	s.create(t, `{"title":"A"}`)
	for i := range 4 {
		s.request("PATCH", "/tasks/1", fmt.Sprintf(`{"priority":%d}`, i+1))
	}
	for _, test := range []struct {
		query, versions, link string
	}{
		{"", "1 2 3 4 5", ""},
		{"?limit=5", "1 2 3 4 5", ""},
		{"?limit=2", "1 2", `</tasks/1/events?after=2&limit=2>; rel="next"`},
		{"?limit=2&after=2", "3 4", `</tasks/1/events?after=4&limit=2>; rel="next"`},
		{"?after=4", "5", ""},
		{"?after=5", "", ""},
	} {
		response := s.request("GET", "/tasks/1/events"+test.query, "")
		var events []event.Event
		if err := json.Unmarshal([]byte(response.Body), &events); err != nil || events == nil {
			t.Errorf("%q: %d %s", test.query, response.Status, response.Body)
		}
		var versions []string
		for _, e := range events {
			versions = append(versions, fmt.Sprint(e.Task.Version))
		}
		if got := strings.Join(versions, " "); got != test.versions {
			t.Errorf("%q: versions %q, want %q", test.query, got, test.versions)
		}
		wantHeader(t, response, map[string]string{"Link": test.link})
	}
}
