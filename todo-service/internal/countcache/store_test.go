package countcache_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/countcache"
	"example.com/todo/todo-service/internal/task"
)

// growingStore is a store that only counts. Each query takes a while, and the number
// grows by one each millisecond.
type growingStore struct {
	task.Store
	created time.Time
	takes   time.Duration
	fails   atomic.Bool
	queries atomic.Int32
}

func (s *growingStore) Count(ctx context.Context, _ task.Owner) (task.Counts, error) {
	s.queries.Add(1)
	n := time.Since(s.created).Milliseconds()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return task.Counts{}, ctx.Err()
	}
	if s.fails.Load() {
		return task.Counts{}, errors.New("the database is away")
	}
	return task.Counts{Total: n, Open: n - 1, Done: 1}, nil
}

func newGrowingStore(takes time.Duration) (*countcache.Store, *growingStore) {
	store := &growingStore{created: time.Now(), takes: takes}
	return countcache.New(store), store
}

func TestCountQueriesOnceASecondAndIsNoOlder(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{0, 80 * time.Millisecond, 2500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			cache, store := newGrowingStore(takes)
			var callers sync.WaitGroup
			for range 10 { // one call every 10 ms for ten seconds
				for range 100 {
					callers.Go(func() {
						called := time.Since(store.created).Milliseconds()
						counts, err := cache.Count(t.Context(), task.NoOwner)
						if err != nil || called-counts.Total >= 1000 || counts.Open != counts.Total-1 || counts.Done != 1 {
							t.Errorf("a call at %d ms returned %+v, error %v", called, counts, err)
						}
					})
					<-time.After(10 * time.Millisecond)
				}
			}
			callers.Wait()
			if got := store.queries.Load(); got != 10 {
				t.Errorf("%d queries in 10 s, each taking %v", got, takes)
			}
		})
	}
}

func TestCountCachesTheNumbersOfEachOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const owners = 1000
		store := &ownersStore{}
		cache := countcache.New(store)
		for range 2 {
			for owner := range task.Owner(owners) {
				if got, err := cache.Count(t.Context(), owner); err != nil || got.Total != int64(owner) {
					t.Errorf("owner %d: %+v, error %v", owner, got, err)
				}
			}
		}
		if got := store.queries.Load(); got != owners {
			t.Errorf("%d queries for %d owners", got, owners)
		}
	})
}

// ownersStore is a store in which the owner n has n tasks.
type ownersStore struct {
	task.Store
	queries atomic.Int32
}

func (s *ownersStore) Count(_ context.Context, owner task.Owner) (task.Counts, error) {
	s.queries.Add(1)
	return task.Counts{Total: int64(owner)}, nil
}

func TestCountFinishesTheQueryOfACancelledCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache, store := newGrowingStore(500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := cache.Count(ctx, task.NoOwner); apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("the call past its deadline returned %v", err)
		}
		if _, err := cache.Count(t.Context(), task.NoOwner); err != nil {
			t.Error(err)
		}
		if got := store.queries.Load(); got != 1 {
			t.Errorf("%d queries", got)
		}
	})
}

func TestCountDoesNotCacheAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cache, store := newGrowingStore(0)
		store.fails.Store(true)
		if _, err := cache.Count(t.Context(), task.NoOwner); err == nil {
			t.Error("a number from a database that is away")
		}
		store.fails.Store(false)
		if _, err := cache.Count(t.Context(), task.NoOwner); err != nil {
			t.Error(err)
		}
	})
}

func TestCountReturnsAPanicOfTheStoreAsAnError(t *testing.T) {
	t.Parallel()
	cache := countcache.New(nil)
	if _, err := cache.Count(t.Context(), task.NoOwner); apperr.Of(err).Kind != apperr.Internal || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("got %v", err)
	}
}
