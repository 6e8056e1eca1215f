package web_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func TestInvalidAddressLeadsToValidOnes(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	for _, target := range []string{"/?done=maybe", "/?sort=title&q=a", "/?sort=priority&after=7", "/?done=true&sort=id&after=x&q=a"} {
		root := f.document(t, target, http.StatusUnprocessableEntity)
		for _, name := range []string{"All", "Open", "Done"} {
			f.document(t, attribute(link(t, root, name), "href"), http.StatusOK)
		}
		for _, name := range []string{"Search", "Apply"} {
			if got := f.press(t, root, button(t, root, name), nil); got.Status != http.StatusOK {
				t.Errorf("%s, then %s: %d", target, name, got.Status)
			}
		}
		if got, want := value(element(t, root, "search-text")), strings.Contains(target, "q=a"); (got == "a") != want {
			t.Errorf("%s: the search is %q", target, got)
		}
	}
}

// The script loads the tasks later and then needs the filters.
func TestDocumentWithoutItsStoreHasItsFilters(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.store.err = apperr.New(apperr.Unavailable, "the database did not answer")
	root := f.document(t, "/?done=true&q=a", http.StatusServiceUnavailable)
	for name, target := range map[string]string{"All": "/?q=a", "Open": "/?done=false&q=a", "Done": "/?done=true&q=a"} {
		if got := attribute(link(t, root, name), "href"); got != target {
			t.Errorf("%s leads to %s", name, got)
		}
	}
}

// uncountedStore is a store that cannot count.
type uncountedStore struct{ task.Store }

func (uncountedStore) Count(context.Context, task.Owner) (task.Counts, error) {
	return task.Counts{}, errors.New("secret")
}

func TestDocumentWithoutCountsHasItsTasks(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "A", 0)
	f.store.Store = uncountedStore{f.store.Store}
	root := f.document(t, "/?done=false", http.StatusOK)
	if got := titles(root); !slices.Equal(got, []string{"A"}) || text(element(t, root, "filters")) != "All Open Done" {
		t.Errorf("the tasks %q, the filters %q", got, text(element(t, root, "filters")))
	}
	if !strings.Contains(f.log.String(), "secret") {
		t.Errorf("the log is %q", f.log)
	}
}
