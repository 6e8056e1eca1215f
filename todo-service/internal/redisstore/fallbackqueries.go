package redisstore

import (
	"context"
	"slices"
	"sync"

	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/task"
)

// query reads the list from the database.
type query = func(context.Context) (listcache.Entry, error)

// fallbackQueries coalesces the queries of readers that have no generation: an owner's
// readers that arrive during a query share the owner's next one. It is safe for concurrent
// use.
type fallbackQueries struct {
	ownerless fallbackBatcher

	mu    sync.Mutex
	users map[task.Owner]*fallbackBatcher // of users with readers
}

// fallbackBatcher answers all readers of a batch by one query. Its keys are pointers,
// because no two queries are equal.
type fallbackBatcher struct {
	coalesce.Batcher[*query, listcache.Entry]
	readers int
}

func newFallbackQueries() *fallbackQueries {
	f := &fallbackQueries{users: make(map[task.Owner]*fallbackBatcher)}
	f.ownerless.init()
	return f
}

func (b *fallbackBatcher) init() { b.Run, b.MaxInFlight = runFallback, 1 }

// do returns the owner's list from a query that starts after this call.
func (f *fallbackQueries) do(ctx context.Context, owner task.Owner, read query) (listcache.Entry, error) {
	if owner == 0 {
		return f.ownerless.Do(ctx, &read)
	}
	b := f.acquire(owner)
	defer f.release(owner, b)
	return b.Do(ctx, &read)
}

func (f *fallbackQueries) acquire(owner task.Owner) *fallbackBatcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.users[owner]
	if b == nil {
		b = &fallbackBatcher{}
		b.init()
		f.users[owner] = b
	}
	b.readers++
	return b
}

func (f *fallbackQueries) release(owner task.Owner, b *fallbackBatcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.readers--; b.readers == 0 {
		delete(f.users, owner)
	}
}

func runFallback(ctx context.Context, batch []coalesce.Entry[*query]) ([]listcache.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	list, err := (*batch[0].Key)(ctx)
	return slices.Repeat([]listcache.Entry{list}, len(batch)), err
}
