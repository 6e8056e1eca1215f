package task_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// counted is a store that only counts, which takes its time, and grows with each
// millisecond.
type counted struct {
	task.Store
	begun  time.Time
	takes  time.Duration
	fails  atomic.Bool
	counts atomic.Int32
}

func (s *counted) Count(ctx context.Context, done *bool) (int64, error) {
	s.counts.Add(1)
	n := time.Since(s.begun).Milliseconds()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if s.fails.Load() {
		return 0, errors.New("the database is away")
	}
	if done != nil && *done {
		n = -n
	}
	return n, nil
}

func countedService(takes time.Duration) (*task.Service, *counted) {
	store := &counted{begun: time.Now(), takes: takes}
	return task.NewService(store, time.Now, func(context.Context, string) {}), store
}

func TestATotalIsCountedOnceASecondAndLagsByNoMore(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{0, 80 * time.Millisecond, 2500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			service, store := countedService(takes)
			var callers sync.WaitGroup
			for range 10 { // ten seconds of somebody asking every 10 ms
				for range 100 {
					callers.Go(func() {
						asked := time.Since(store.begun).Milliseconds()
						n, err := service.Count(t.Context(), nil)
						if err != nil || asked-n >= 1000 {
							t.Errorf("asked at %d ms and got the total at %d ms, error %v", asked, n, err)
						}
					})
					<-time.After(10 * time.Millisecond)
				}
			}
			callers.Wait()
			if got := store.counts.Load(); got != 10 {
				t.Errorf("counted %d times in 10 s, each taking %v", got, takes)
			}
		})
	}
}

func TestEachFilterHasATotalOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service, store := countedService(0)
		<-time.After(time.Millisecond)
		for range 3 {
			for _, test := range []struct {
				done *bool
				want int64
			}{{nil, 1}, {new(true), -1}, {new(false), 1}} {
				if n, err := service.Count(t.Context(), test.done); err != nil || n != test.want {
					t.Errorf("got %d, want %d, error %v", n, test.want, err)
				}
			}
		}
		if got := store.counts.Load(); got != 3 {
			t.Errorf("counted %d times for three filters", got)
		}
	})
}

func TestACountOutlivesWhoAskedForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service, store := countedService(500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := service.Count(ctx, nil); apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("the impatient got %v", err)
		}
		if _, err := service.Count(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if got := store.counts.Load(); got != 1 {
			t.Errorf("counted %d times", got)
		}
	})
}

func TestACountThatFailedIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service, store := countedService(0)
		store.fails.Store(true)
		if _, err := service.Count(t.Context(), nil); err == nil {
			t.Error("a count of a database that is away")
		}
		store.fails.Store(false)
		if _, err := service.Count(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestACountThatPanicsIsAnError(t *testing.T) {
	t.Parallel()
	service := task.NewService(nil, time.Now, nil) // no store to ask
	if _, err := service.Count(t.Context(), nil); apperr.Of(err).Kind != apperr.Internal {
		t.Errorf("got %v", err)
	}
}
