package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
)

const (
	watchInterval = 500 * time.Millisecond // so that a stream ends within a second of its session
	// maxUnconfirmed is how long a stream goes on without an answer of Redis about its
	// session.
	maxUnconfirmed = 5 * time.Second
)

// Watcher ends the open streams of sessions that ended. It looks up their distinct sessions
// every 500 ms, in one pipeline. That is no use of a session: an open stream alone does not
// keep it from becoming idle.
type Watcher struct {
	exists func(ctx context.Context, keys []string) []error // for each key nil, errNoSession, or why there is no answer
	outage *retry.Outage

	mu      sync.Mutex
	watched map[string]*watchedSession // by key
}

// watchedSession is a session with open streams.
type watchedSession struct {
	ctx       context.Context // ends with the session
	end       context.CancelCauseFunc
	confirmed time.Time // when Redis was asked last, of the answers that the session exists
	streams   int
}

// NewWatcher returns a Watcher of the sessions of store. Run must run while there are
// streams.
func NewWatcher(store *Store, log *slog.Logger) *Watcher {
	return &Watcher{
		exists:  store.exists,
		outage:  retry.NewOutage(log, "session watcher: Redis does not answer, streams end after 5 s without an answer", "session watcher: Redis answers again"),
		watched: map[string]*watchedSession{},
	}
}

// Watch returns a context that ends with the session of ctx. Its cause is then
// apperr.Unauthenticated, or apperr.Unavailable if Redis did not answer for 5 s. The
// caller calls stop when its stream ends. Without a session, or on a nil Watcher, the
// context ends by stop alone.
func (w *Watcher) Watch(ctx context.Context) (watched context.Context, stop context.CancelFunc) {
	key := From(ctx).key
	if w == nil || key == "" {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := w.add(key)
	detach := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	return ctx, sync.OnceFunc(func() {
		detach()
		cancel(nil)
		w.remove(key, s)
	})
}

// Run looks up the sessions until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.checkSessions(ctx)
		}
	}
}

// checkSessions is one pass.
func (w *Watcher) checkSessions(ctx context.Context) {
	began := time.Now()
	keys, sessions := w.snapshot()
	if len(keys) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, watchInterval)
	defer cancel()
	var failure error
	for i, err := range w.exists(bounded, keys) {
		switch {
		case err == nil:
			w.confirm(sessions[i], began)
		case errors.Is(err, errNoSession):
			w.end(keys[i], sessions[i], unauthenticated(err))
		case ctx.Err() != nil:
			return
		default:
			failure = err
			if w.isUnconfirmed(sessions[i]) {
				w.end(keys[i], sessions[i], unavailable(err))
			}
		}
	}
	w.outage.Record(ctx, failure)
}

// add returns the watched session of the key, with one more stream. The caller has just
// checked the session.
func (w *Watcher) add(key string) *watchedSession {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.watched[key]
	if s == nil {
		s = &watchedSession{}
		s.ctx, s.end = context.WithCancelCause(context.Background())
		w.watched[key] = s
	}
	s.confirmed = time.Now()
	s.streams++
	return s
}

// remove takes one stream from the session, and forgets a session without streams.
func (w *Watcher) remove(key string, s *watchedSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.streams--
	if s.streams == 0 && w.watched[key] == s {
		delete(w.watched, key)
		s.end(nil)
	}
}

func (w *Watcher) snapshot() (keys []string, sessions []*watchedSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, s := range w.watched {
		keys, sessions = append(keys, key), append(sessions, s)
	}
	return keys, sessions
}

func (w *Watcher) confirm(s *watchedSession, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.confirmed = at
}

func (w *Watcher) isUnconfirmed(s *watchedSession) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(s.confirmed) >= maxUnconfirmed
}

// end ends the streams of the session. A later stream with the key gets a new one.
func (w *Watcher) end(key string, s *watchedSession, reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched[key] == s {
		delete(w.watched, key)
	}
	s.end(reason)
}

// exists looks up the sessions with the keys. It returns for each nil, errNoSession, or the
// reason why there is no answer.
func (s *Store) exists(ctx context.Context, keys []string) []error {
	replies := make([]*goredis.IntCmd, len(keys))
	pipe := s.client.Pipeline()
	for i, key := range keys {
		replies[i] = pipe.Exists(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // the replies have the errors
	errs := make([]error, len(keys))
	for i, reply := range replies {
		n, err := reply.Result()
		if err == nil && n == 0 {
			err = errNoSession
		}
		errs[i] = err
	}
	return errs
}
