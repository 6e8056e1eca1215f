package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/task"
)

// The form still is the one for the version that the user has seen.
func TestFormThatFailedFindsLaterChangesWhenItIsSentAgain(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	root := f.document(t, "/?task=1", http.StatusOK)
	f.change(t, 1, task.Change{Title: new("changed by another client")})
	f.refusal = time.Second
	limited := f.press(t, root, button(t, root, "Save"), url.Values{"title": {"typed"}})
	f.refusal = 0
	root = limited.parse(t)
	got := f.press(t, root, button(t, root, "Save"), nil)
	if limited.Status != http.StatusTooManyRequests || got.Status != http.StatusPreconditionFailed || f.get(t, 1).Version != 2 {
		t.Fatalf("%d, then %d: stored %+v", limited.Status, got.Status, f.get(t, 1))
	}
	if failure := failureOf(t, got.parse(t)); !strings.Contains(failure, "changed by another client") {
		t.Errorf("%s", failure)
	}
	root = got.parse(t)
	wantRedirect(t, f.press(t, root, button(t, root, "Save"), nil))
	if got := f.get(t, 1); got.Title != "typed" {
		t.Errorf("stored %+v", got)
	}
}
