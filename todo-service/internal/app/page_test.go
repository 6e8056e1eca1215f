package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

func TestRateLimitCountsTheAPIAndFormsButNeitherDocumentsNorAssets(t *testing.T) {
	t.Parallel()
	counted := 0
	handler := newPageAndAPI(web.Config{}, slog.New(slog.DiscardHandler), httpapi.Config{
		Tasks:    task.NewService(memstore.New(), time.Now, func(context.Context, task.Owner, string) {}),
		Owner:    ownerFrom,
		ClientIP: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		Allow: func(context.Context, netip.Addr) ratelimit.Decision {
			counted++
			return ratelimit.Decision{RetryAfter: time.Second}
		},
	}, nil)
	for _, test := range []struct {
		method, target string
		status, counts int
	}{
		{"GET", "/", 200, 0},
		{"GET", "/?done=true", 200, 0},
		{"GET", "/assets/x/main.js", 200, 0},
		{"GET", "/favicon.ico", 302, 0},
		{"GET", "/assets/x/none.js", 404, 0},
		{"POST", "/page/tasks", 429, 1},
		{"GET", "/tasks/1", 429, 1},
		{"GET", "/docs", 429, 1},
		{"GET", "/nothing", 429, 1},
		{"GET", "//", 429, 1},
		{"GET", "/assets/../tasks/1", 429, 1},
		{"GET", "/assets", 429, 1},
	} {
		counted = 0
		request := httptest.NewRequest(test.method, "http://localhost"+test.target, strings.NewReader("title=A&priority=0"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != test.status || counted != test.counts {
			t.Errorf("%s %s: %d, counted %d times", test.method, test.target, recorder.Code, counted)
		}
	}
}
