package httpapi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// problem is the problem document of every error.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Error     string `json:"error"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Name    string `json:"name"`
		Problem string `json:"problem"`
	} `json:"errors"`
}

func (p problem) fields() []string {
	var names []string
	for _, field := range p.Errors {
		names = append(names, field.Name)
	}
	return names
}

func wantProblem(t *testing.T, response httpResponse, status int) problem {
	t.Helper()
	text := response.Body
	if response.Status != status {
		t.Errorf("status %d, want %d: %s", response.Status, status, text)
	}
	wantHeader(t, response, map[string]string{"Content-Type": "application/problem+json"})
	var p problem
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	if p.Type == "" || p.Title == "" || p.Detail == "" || p.Error == "" || p.RequestID == "" || p.Status != response.Status {
		t.Errorf("an incomplete problem: %s", text)
	}
	if p.RequestID != response.Header.Get("X-Request-Id") {
		t.Errorf("request_id %q, X-Request-Id %q", p.RequestID, response.Header.Get("X-Request-Id"))
	}
	return p
}

type badInput struct {
	name    string
	method  string
	target  string
	body    string
	header  []string
	status  int
	fields  []string // named in errors
	mention string   // part of the detail
	allow   string   // of a 405
}

func TestInvalidRequestsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	for group, inputs := range map[string][]badInput{
		"creation": badCreations(), "change": badChanges(), "id": badIDs(), "list": badLists(), "route": badRoutes(), "envelope": badEnvelopes(),
		"needless body": badNeedlessBodies(),
	} {
		for _, input := range inputs {
			t.Run(group+"/"+input.name, func(t *testing.T) {
				t.Parallel()
				s := newFixture()
				s.create(t, `{"title":"kept"}`)
				before := s.dumpStore(t)
				response := s.request(input.method, input.target, input.body, input.header...)
				p := wantProblem(t, response, input.status)
				if got := p.fields(); !slices.Equal(got, input.fields) {
					t.Errorf("fields %q, want %q: %s", got, input.fields, p.Detail)
				}
				if !strings.Contains(p.Detail, input.mention) {
					t.Errorf("detail %q does not mention %q", p.Detail, input.mention)
				}
				wantHeader(t, response, map[string]string{"Allow": input.allow})
				if after := s.dumpStore(t); after != before {
					t.Errorf("the store changed from\n%s\nto\n%s", before, after)
				}
			})
		}
	}
}
