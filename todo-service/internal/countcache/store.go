// Package countcache caches the numbers of tasks. A count reads every task, which is
// too much work to repeat for each request.
package countcache

import (
	"context"
	"time"

	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

const (
	maxAge       = time.Second     // how old a number may be, counted from the beginning of its query
	countTimeout = 5 * time.Second // bounds a query, which several callers may share
)

// Store is a task.Store whose Count is cached.
type Store struct {
	task.Store
	counts coalesce.Flights[filter, int64]
}

// filter is the argument of Count: whether it filters, and by what.
type filter struct{ filters, done bool }

// New returns store with a cached Count.
func New(store task.Store) *Store {
	return &Store{Store: store, counts: coalesce.Flights[filter, int64]{FreshFor: maxAge, Timeout: countTimeout}}
}

// Count returns how many tasks are done, not done, or there at all (nil), as of a
// second before the call or later. The store counts each at most once a second.
func (s *Store) Count(ctx context.Context, done *bool) (int64, error) {
	by := filter{filters: done != nil, done: done != nil && *done}
	return s.counts.Do(ctx, by, func(ctx context.Context) (int64, error) { return s.Store.Count(ctx, done) })
}
