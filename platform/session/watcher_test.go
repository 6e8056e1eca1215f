package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
)

// sessionTable is the Redis of a Watcher in a synctest bubble.
type sessionTable struct {
	mu      sync.Mutex
	ended   map[string]bool
	down    bool
	silent  bool // does not answer before the context ends
	lookups [][]string
}

func (s *sessionTable) exists(ctx context.Context, keys []string) []error {
	s.mu.Lock()
	s.lookups = append(s.lookups, slices.Sorted(slices.Values(keys)))
	down, silent := s.down, s.silent
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(keys))
	for i, key := range keys {
		switch {
		case down || silent:
			errs[i] = errors.New("connection refused")
		case s.ended[key]:
			errs[i] = errNoSession
		}
	}
	return errs
}

func (s *sessionTable) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// runWatcher runs a Watcher until the test's bubble ends.
func runWatcher(t *testing.T) (*Watcher, *sessionTable) {
	t.Helper()
	table := &sessionTable{ended: map[string]bool{}}
	w := NewWatcher(&Store{}, slog.New(slog.DiscardHandler))
	w.exists = table.exists
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	<-time.After(time.Millisecond) // so that nothing else happens at the time of a pass
	return w, table
}

func withKey(t *testing.T, key string) context.Context {
	return WithSession(t.Context(), Session{ID: "S", User: User{ID: 7}, key: key})
}

func expectOpen(t *testing.T, ctx context.Context) { //nolint:revive // the context is what is tested
	t.Helper()
	synctest.Wait()
	if ctx.Err() != nil {
		t.Errorf("the stream ended: %v", context.Cause(ctx))
	}
}

func expectEnded(t *testing.T, ctx context.Context, want apperr.Kind) { //nolint:revive // the context is what is tested
	t.Helper()
	synctest.Wait()
	if cause := context.Cause(ctx); cause == nil || apperr.Of(cause).Kind != want {
		t.Errorf("the stream has the cause %v, want kind %d", cause, want)
	}
}

func TestWatcherLooksUpDistinctSessionsTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, table := runWatcher(t)
		for _, key := range []string{"a", "b", "a", "a"} {
			_, stop := w.Watch(withKey(t, key))
			defer stop()
		}
		<-time.After(time.Second + time.Millisecond)
		table.set(func() {
			if want := [][]string{{"a", "b"}, {"a", "b"}}; !slices.EqualFunc(table.lookups, want, slices.Equal) {
				t.Errorf("looked up %q, want %q", table.lookups, want)
			}
		})
	})
}

func TestWatcherEndsTheStreamsOfAnEndedSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, table := runWatcher(t)
		first, stopFirst := w.Watch(withKey(t, "a"))
		defer stopFirst()
		second, stopSecond := w.Watch(withKey(t, "a"))
		defer stopSecond()
		other, stopOther := w.Watch(withKey(t, "b"))
		defer stopOther()
		if UserFrom(first) != (User{ID: 7}) {
			t.Error("the context lost its session")
		}
		<-time.After(2 * time.Second)
		expectOpen(t, first)
		table.set(func() { table.ended["a"] = true })
		<-time.After(watchInterval)
		expectEnded(t, first, apperr.Unauthenticated)
		expectEnded(t, second, apperr.Unauthenticated)
		expectOpen(t, other)

		// A stream that begins with a session of that key is watched, too.
		table.set(func() { table.ended["a"] = false })
		third, stopThird := w.Watch(withKey(t, "a"))
		defer stopThird()
		stopFirst()
		stopSecond()
		<-time.After(time.Second)
		expectOpen(t, third)
		table.set(func() { table.ended["a"] = true })
		<-time.After(watchInterval)
		expectEnded(t, third, apperr.Unauthenticated)
	})
}

func TestWatcherEndsStreamsAfterFiveSecondsWithoutAnAnswer(t *testing.T) {
	for name, fail := range map[string]func(*sessionTable){
		"down": func(s *sessionTable) { s.down = true }, "silent": func(s *sessionTable) { s.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, table := runWatcher(t)
				early, stopEarly := w.Watch(withKey(t, "a"))
				defer stopEarly()
				<-time.After(watchInterval + time.Millisecond) // the last answer
				table.set(func() { fail(table) })
				<-time.After(2 * time.Second)
				late, stopLate := w.Watch(withKey(t, "b")) // its session has just been checked
				defer stopLate()
				<-time.After(2900 * time.Millisecond)
				expectOpen(t, early)
				<-time.After(1100 * time.Millisecond)
				expectEnded(t, early, apperr.Unavailable)
				expectOpen(t, late)
				<-time.After(2 * time.Second)
				expectEnded(t, late, apperr.Unavailable)
			})
		})
	}
}

func TestWatcherKeepsStreamsThroughAShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, table := runWatcher(t)
		ctx, stop := w.Watch(withKey(t, "a"))
		defer stop()
		for range 3 {
			table.set(func() { table.down = true })
			<-time.After(4 * time.Second)
			table.set(func() { table.down = false })
			<-time.After(watchInterval)
		}
		expectOpen(t, ctx)
	})
}

func TestWatcherForgetsStreamsThatEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, table := runWatcher(t)
		ctx, stop := w.Watch(withKey(t, "a"))
		_, stopOther := w.Watch(withKey(t, "a"))
		stop()
		stop() // counts once
		if ctx.Err() == nil || w.Watched() != 1 {
			t.Errorf("%d sessions are watched", w.Watched())
		}
		stopOther()
		if w.Watched() != 0 {
			t.Error("a session without streams is watched")
		}
		<-time.After(2 * time.Second)
		table.set(func() {
			if len(table.lookups) > 0 {
				t.Errorf("looked up %q", table.lookups)
			}
		})
	})
}

func TestWatchWithoutASessionIsAPlainContext(t *testing.T) {
	t.Parallel()
	for _, w := range []*Watcher{nil, NewWatcher(&Store{}, slog.New(slog.DiscardHandler))} {
		ctx, stop := w.Watch(t.Context())
		if ctx.Err() != nil {
			t.Error("it ended")
		}
		stop()
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("got the cause %v", context.Cause(ctx))
		}
	}
}
