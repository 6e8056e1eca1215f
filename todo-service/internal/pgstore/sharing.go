package pgstore

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
)

// sharing lets callers share statements. Those who come while enough of them are
// under way share the next one. It begins after they have asked: what was committed
// before that it sees.
type sharing[T comparable, R any] struct {
	run     func(ctx context.Context, all []T) (R, error) // bounds itself: ctx is nobody's own
	abreast int                                           // statements under way, at most
	// toTheEnd keeps a caller whose ctx has ended until his statement has ended,
	// unless it has not begun.
	toTheEnd bool

	mu    sync.Mutex
	next  *shared[T, R] // nil when nobody waits
	under int           // statements under way
}

type shared[T comparable, R any] struct {
	all  []T
	done chan struct{}

	result R // these two once it is done
	err    error
}

// do returns what the statement for one, or for him and others, returned, or the
// error of ctx.
func (s *sharing[T, R]) do(ctx context.Context, one T) (R, error) {
	if err := ctx.Err(); err != nil {
		var none R
		return none, err
	}
	return s.await(ctx, s.join(ctx, one), one)
}

// await returns what the statement that one has joined returned, or the error of ctx.
func (s *sharing[T, R]) await(ctx context.Context, next *shared[T, R], one T) (R, error) {
	select {
	case <-next.done:
	case <-ctx.Done():
		if s.leave(next, one) || !s.toTheEnd {
			var none R
			return none, ctx.Err()
		}
		<-next.done
	}
	return next.result, next.err
}

func (s *sharing[T, R]) join(ctx context.Context, one T) *shared[T, R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &shared[T, R]{done: make(chan struct{})}
	}
	next := s.next
	next.all = append(next.all, one)
	if s.under < s.abreast {
		s.under++
		go s.work(context.WithoutCancel(ctx))
	}
	return next
}

// record takes one out of a statement that has not begun.
func (s *sharing[T, R]) leave(from *shared[T, R], one T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != from {
		return false
	}
	i := slices.Index(from.all, one)
	from.all = slices.Delete(from.all, i, i+1)
	return true
}

// work makes statements as long as somebody waits.
func (s *sharing[T, R]) work(ctx context.Context) {
	for next := s.begin(); next != nil; next = s.begin() {
		s.finish(ctx, next)
	}
}

// begin lets those join first who are ready to, which is where a busy server gains
// most.
func (s *sharing[T, R]) begin() *shared[T, R] {
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.next
	s.next = nil
	if next == nil {
		s.under--
	}
	return next
}

// finish makes a panic an error: no server's recovery sees this goroutine.
func (s *sharing[T, R]) finish(ctx context.Context, next *shared[T, R]) {
	defer close(next.done)
	defer func() {
		if p := recover(); p != nil {
			next.err = fmt.Errorf("a shared statement panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if len(next.all) > 0 {
		next.result, next.err = s.run(ctx, next.all)
	}
}
