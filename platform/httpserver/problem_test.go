package httpserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
)

func TestWriteProblemMapsEachKindToItsStatusAndMessage(t *testing.T) {
	t.Parallel()
	wait := func(d time.Duration) *apperr.Error {
		e := apperr.New(apperr.RateLimited, "too many requests")
		e.RetryAfter = d
		return e
	}
	invalid := apperr.InvalidFields(apperr.Field{Name: "title", Problem: "must not be empty"}, apperr.Field{Name: "priority", Problem: "must be at most 100"})
	tests := map[string]struct {
		err        error
		status     int
		title      string
		message    string
		detail     string
		retryAfter string
		challenge  string // WWW-Authenticate
		errors     []any
	}{
		"invalid": {err: invalid, status: 422, title: "Unprocessable Entity", message: "title must not be empty; priority must be at most 100",
			errors: []any{map[string]any{"name": "title", "problem": "must not be empty"}, map[string]any{"name": "priority", "problem": "must be at most 100"}}},
		"unauthenticated":     {err: apperr.New(apperr.Unauthenticated, "sign in"), status: 401, title: "Unauthorized", message: "sign in", challenge: "Bearer"},
		"permission denied":   {err: apperr.New(apperr.PermissionDenied, "not yours"), status: 403, title: "Forbidden", message: "not yours"},
		"not found":           {err: fmt.Errorf("x: %w", apperr.New(apperr.NotFound, "no such task")), status: 404, title: "Not Found", message: "no such task"},
		"already exists":      {err: apperr.New(apperr.AlreadyExists, "taken"), status: 409, title: "Conflict", message: "taken"},
		"precondition failed": {err: apperr.New(apperr.PreconditionFailed, "it moved on"), status: 412, title: "Precondition Failed", message: "it moved on"},
		"gone":                {err: apperr.New(apperr.Gone, "too old"), status: 410, title: "Gone", message: "too old"},
		"rate limited":        {err: wait(2100 * time.Millisecond), status: 429, title: "Too Many Requests", message: "too many requests", detail: "too many requests; try again in 3 s", retryAfter: "3"},
		"rate limited, now":   {err: wait(time.Nanosecond), status: 429, title: "Too Many Requests", message: "too many requests", detail: "too many requests; try again in 1 s", retryAfter: "1"},
		"unavailable":         {err: apperr.New(apperr.Unavailable, "try again"), status: 503, title: "Service Unavailable", message: "try again", retryAfter: "1"},
		"internal":            {err: errors.New("pq: relation does not exist"), status: 500, title: "Internal Server Error", message: "something went wrong on our side"},
		"transport":           {err: fmt.Errorf("x: %w", httpserver.StatusError(413, "larger than %d bytes", 5)), status: 413, title: "Request Entity Too Large", message: "larger than 5 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			rec.Header().Set("ETag", `"1"`)
			httpserver.WriteProblem(rec, httptest.NewRequest(http.MethodGet, "/", nil), test.err)
			if test.detail == "" {
				test.detail = test.message
			}
			want := map[string]any{"type": "about:blank", "title": test.title, "status": float64(test.status), "detail": test.detail, "error": test.message}
			if test.errors != nil {
				want["errors"] = test.errors
			}
			var got map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if rec.Code != test.status || rec.Header().Get("Retry-After") != test.retryAfter ||
				rec.Header().Get("WWW-Authenticate") != test.challenge ||
				rec.Header().Get("Content-Type") != "application/problem+json" || rec.Header().Get("ETag") != "" {
				t.Errorf("got %d with %v", rec.Code, rec.Header())
			}
		})
	}
}

func TestProblemIsPersonalWhereTheResponseIsAndOtherwiseNotStored(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"": "no-store", "no-cache": "no-store", "private, no-cache": "private, no-cache"} {
		rec := httptest.NewRecorder()
		rec.Header().Set("Cache-Control", given)
		httpserver.WriteProblem(rec, httptest.NewRequest(http.MethodGet, "/", nil), apperr.New(apperr.NotFound, "no"))
		if got := rec.Header().Get("Cache-Control"); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

func TestUnknownRoutesAndMethodsAreAnsweredWithAProblem(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /things/{id}", "DELETE /things/{id}", "POST /things"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	}
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/things/1", 204, ""},
		{"HEAD", "/things/1", 204, ""},
		{"PUT", "/things/1", 405, "DELETE, GET, HEAD"},
		{"GET", "/things", 405, "POST"},
		{"GET", "/nothing", 404, ""},
		{"BREW", "/nothing", 404, ""},
		{"GET", "//things/1", 307, ""},
		{"GET", "//nothing", 307, ""},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			httpserver.Routes(mux).ServeHTTP(rec, httptest.NewRequest(test.method, test.path, nil))
			if rec.Code != test.status || rec.Header().Get("Allow") != test.allow {
				t.Errorf("got %d, Allow %q: %s", rec.Code, rec.Header().Get("Allow"), rec.Body)
			}
			if rec.Code >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %v %s", rec.Header(), rec.Body)
			}
		})
	}
}
