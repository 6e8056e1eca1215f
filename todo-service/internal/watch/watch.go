package watch

import (
	"context"
	"iter"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

const (
	// A watcher holds so many announcements at a time, of the ring or of the log,
	// which bounds what a stalled one keeps in memory.
	ringBatch        = 8
	catchUpBatch     = 32
	bookmarkInterval = 5 * time.Second // of silence
)

// Watch begins a watch, which lasts until ctx ends: what it returns yields every
// announcement after the one that token names, in seq order and without gaps. The
// token of an announcement is its seq in decimal; "" means everything that comes
// once Watch has returned. A bookmark, an announcement of nothing at the place
// where the watch is, comes first, and again whenever nothing happens for 5 s.
//
// A token that is not one is refused with fault.Invalid, and one that is not in the
// log, or no longer, with fault.Gone. How many watches there are is for Streams to
// limit.
//
// The sequence waits for more when it has caught up. It ends with an error:
//
//   - ctx's, when ctx ends,
//   - fault.Unavailable, when the hub stops: resume with the last token,
//   - the log's, when it can not be read: resume too,
//   - fault.Gone, when the watcher was so slow that the log was purged first, or when
//     the database was made anew, or restored to what it was some time ago.
func (h *Hub) Watch(ctx context.Context, token string) (iter.Seq2[task.Announcement, error], error) {
	turned := h.resetSignal()
	position, err := h.startPosition(ctx, token)
	if err != nil {
		return nil, err
	}
	return func(yield func(task.Announcement, error) bool) {
		if !yield(task.Announcement{Seq: position}, nil) {
			return
		}
		for {
			next, err := h.awaitNext(ctx, turned, position)
			if err != nil {
				yield(task.Announcement{}, err)
				return
			}
			for _, a := range next {
				if err := h.checkRunning(ctx); err != nil {
					yield(task.Announcement{}, err)
					return
				}
				if !yield(a, nil) {
					return
				}
				position = a.Seq
			}
		}
	}, nil
}

// awaitNext returns what follows position, and waits until there is something; a
// bookmark when there is nothing for a while.
func (h *Hub) awaitNext(ctx context.Context, turned <-chan struct{}, position int64) ([]task.Announcement, error) {
	for {
		next, behind, more := h.readRing(position, ringBatch)
		select {
		case <-turned: // and what came of the ring may be of another log
			return nil, positionGone(strconv.FormatInt(position, 10))
		default:
		}
		if behind {
			return h.readEventLog(ctx, position)
		}
		if len(next) > 0 {
			return next, nil
		}
		select {
		case <-more:
		case <-turned:
		case <-time.After(bookmarkInterval):
			return []task.Announcement{{Seq: position}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.stopped:
			return nil, errStopping()
		}
	}
}

// startPosition returns the seq that the watch follows.
func (h *Hub) startPosition(ctx context.Context, token string) (int64, error) {
	position := int64(-1)
	if token != "" {
		var err error
		if position, err = parseToken(token); err != nil {
			return 0, err
		}
	}
	if err := h.checkRunning(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout) // a stream has no deadline
	defer cancel()
	log, err := h.eventLog.Bounds(ctx)
	switch {
	case err != nil:
		return 0, err
	case token == "":
		return log.Head, nil
	case position < log.PurgedThrough || position > log.Head:
		return 0, positionGone(token)
	}
	return position, nil
}

// readEventLog returns what follows seq in the log. The ring has seen announcements
// after seq, so an empty or broken answer means that they were purged.
func (h *Hub) readEventLog(ctx context.Context, seq int64) ([]task.Announcement, error) {
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout)
	defer cancel()
	next, err := h.eventLog.After(ctx, seq, catchUpBatch)
	if err != nil {
		return nil, err
	}
	if len(next) == 0 || next[0].Seq != seq+1 {
		return nil, positionGone(strconv.FormatInt(seq, 10))
	}
	return next, nil
}

func (h *Hub) checkRunning(ctx context.Context) error {
	select {
	case <-h.stopped:
		return errStopping()
	default:
		return ctx.Err()
	}
}

func parseToken(token string) (int64, error) {
	seq, err := strconv.ParseInt(token, 10, 64)
	if err != nil || seq < 0 || strconv.FormatInt(seq, 10) != token {
		return 0, apperr.InvalidFields(apperr.Field{Name: "resume_token", Problem: "must be the token of an event, or empty"})
	}
	return seq, nil
}

func positionGone(token string) error {
	return apperr.New(apperr.Gone, "the events after %s are not in the log, or no longer; read the list and watch from now on", token)
}

func errStopping() error {
	return apperr.New(apperr.Unavailable, "the server is stopping; resume with the token of the last event")
}
