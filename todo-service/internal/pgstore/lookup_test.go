package pgstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/todo/platform/fault"
	"example.com/todo/todo-service/internal/task"
)

// held is a database whose queries end when they are told to, and whose tasks are
// those of the moment when a query began.
type held struct {
	version int64
	release chan struct{}
	queries [][]int64
	err     error
}

func (h *held) fetch(_ context.Context, ids []int64) (map[int64]task.Task, error) {
	tasks := make(map[int64]task.Task)
	for _, id := range ids {
		if id < 1_000 {
			tasks[id] = task.Task{ID: id, Version: h.version}
		}
	}
	h.queries = append(h.queries, ids)
	<-h.release
	return tasks, h.err
}

func TestCallersShareTheQueryThatBeginsAfterTheyAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{version: 1, release: make(chan struct{})}
		l := &lookup{fetch: h.fetch}
		var callers sync.WaitGroup
		ask := func(id, want int64) {
			callers.Go(func() {
				if got, err := l.get(t.Context(), id); err != nil || got.ID != id || got.Version != want {
					t.Errorf("task %d: got %d at version %d, %v, want version %d", id, got.ID, got.Version, err, want)
				}
			})
		}
		for id := range int64(abreast) {
			ask(id, 1)
			synctest.Wait()
		}
		for id := range int64(100) {
			ask(id%50, 2)
		}
		callers.Go(func() {
			if _, err := l.get(t.Context(), 1_001); fault.Of(err).Kind != fault.NotFound {
				t.Errorf("of a task that is not there: %v", err)
			}
		})
		synctest.Wait()
		h.version = 2 // committed before any of the hundred could be answered
		close(h.release)
		callers.Wait()
		if got := len(h.queries); got != abreast+1 {
			t.Errorf("%d queries, want %d", got, abreast+1)
		}
	})
}

func TestACallerWhoseTimeIsOverLeavesTheOthersTheirQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{version: 1, release: make(chan struct{})}
		l := &lookup{fetch: h.fetch}
		ctx, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := l.get(ctx, 7); err == nil {
				t.Error("who left was answered")
			}
		})
		synctest.Wait()
		leave()
		callers.Wait()
		callers.Go(func() {
			if _, err := l.get(t.Context(), 7); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(h.release)
		callers.Wait()
	})
}

func TestAFailedLookupFailsForAllWhoShareIt(t *testing.T) {
	t.Parallel()
	h := &held{release: make(chan struct{}), err: errors.New("syntax error")}
	close(h.release)
	if _, err := (&lookup{fetch: h.fetch}).get(t.Context(), 7); !errors.Is(err, h.err) {
		t.Errorf("got %v", err)
	}
}
