// Package countcache caches the numbers of tasks. A count reads every task of the owner,
// which is too much work to repeat for each request.
package countcache

import (
	"context"
	"time"

	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

const (
	maxAge       = time.Second     // how old the numbers may be, counted from the beginning of their query
	countTimeout = 5 * time.Second // bounds a query, which several callers may share
)

// Store is a task.Store whose Count is cached.
type Store struct {
	task.Store
	counts coalesce.Flights[task.Owner, task.Counts]
}

// New returns store with a cached Count.
func New(store task.Store) *Store {
	return &Store{Store: store, counts: coalesce.Flights[task.Owner, task.Counts]{FreshFor: maxAge, Timeout: countTimeout}}
}

// Count returns the numbers of tasks, as of a second before the call or later. The store
// counts at most once a second for each owner.
func (s *Store) Count(ctx context.Context, owner task.Owner) (task.Counts, error) {
	return s.counts.Do(ctx, owner, func(ctx context.Context) (task.Counts, error) { return s.Store.Count(ctx, owner) })
}
