package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/web"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

func TestDocumentHasARowForEachTask(t *testing.T) {
	t.Parallel()
	tasks := task.NewService(memstore.New(), func() time.Time { return start }, func(context.Context, string) {})
	page := web.New(web.Config{StatsURL: "http://localhost:8081"}, web.Dependencies{
		Tasks:         tasks,
		Allow:         func(context.Context, netip.Addr) ratelimit.Decision { return ratelimit.Decision{Allowed: true} },
		ClientIP:      func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		AcquireSearch: func(context.Context, netip.Addr) (func(), error) { return func() {}, nil },
	})
	request := httptest.NewRequest("POST", "/page/tasks", strings.NewReader("title=%3Cb%3EA&priority=50"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	page.ServeHTTP(w, request)
	if w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
	t.Log(w.Header(), w.Body)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "&lt;b&gt;A") {
		t.Error(w.Code)
	}
}
