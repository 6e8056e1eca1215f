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
	ringBatch        = 8               // announcements that a watcher takes from the ring at once; a stalled watcher keeps that many in memory
	catchUpBatch     = 32              // announcements that a watcher reads from the event log at once; bounded for the same reason
	bookmarkInterval = 5 * time.Second // of silence, until a bookmark tells the client its position
)

// Watch returns a sequence of every announcement of the owner after the position of token,
// in seq order and without gaps, until ctx ends. A token is the seq of an announcement of
// any owner in decimal; "" stands for everything that is committed after Watch has
// returned. The sequence begins with a bookmark (an announcement without an event that
// tells the position), and has another one after each 5 s of silence.
//
// Watch returns apperr.Invalid for a malformed token, and apperr.Gone for a position
// outside the log. It does not limit the number of watches; Streams does.
//
// The sequence ends with an error:
//
//   - ctx's error, when ctx ends,
//   - apperr.Unavailable, when the hub stops: the client resumes with the last token,
//   - the event log's error, when a read fails: the client resumes,
//   - apperr.Gone, when the log was purged before the watcher had read it, or the
//     database was recreated or restored to an earlier state.
func (h *Hub) Watch(ctx context.Context, owner task.Owner, token string) (iter.Seq2[task.Announcement, error], error) {
	// Taken before the position: a reset between the two must end this watch.
	h.mu.RLock()
	logReset := h.logReset
	h.mu.RUnlock()
	position, err := h.startPosition(ctx, token)
	if err != nil {
		return nil, err
	}
	return func(yield func(task.Announcement, error) bool) {
		defer h.join(owner)()
		if !yield(task.Announcement{Seq: position}, nil) {
			return
		}
		for {
			next, err := h.awaitNext(ctx, owner, logReset, position)
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

// awaitNext waits for the owner's announcements after position and returns a batch of
// them, or a bookmark: after bookmarkInterval, or when the event log has none up to there.
func (h *Hub) awaitNext(ctx context.Context, owner task.Owner, logReset <-chan struct{}, position int64) ([]task.Announcement, error) {
	for {
		ring := h.readRing(owner, position, ringBatch)
		// Checked after the ring was read: the ring may already hold the new log.
		select {
		case <-logReset:
			return nil, positionGone(strconv.FormatInt(position, 10))
		default:
		}
		if ring.behind {
			return h.readEventLog(ctx, owner, position, ring.begin)
		}
		if len(ring.next) > 0 {
			return ring.next, nil
		}
		select {
		case <-ring.changed:
		case <-logReset:
		case <-time.After(bookmarkInterval):
			return []task.Announcement{{Seq: ring.through}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.stopped:
			return nil, errStopping()
		}
	}
}

// startPosition returns the seq after which the watch begins.
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
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout) // the context of a stream has no deadline
	defer cancel()
	bounds, err := h.eventLog.Bounds(ctx)
	switch {
	case err != nil:
		return 0, err
	case token == "":
		return bounds.Head, nil
	case position < bounds.PurgedThrough || position > bounds.Head:
		return 0, positionGone(token)
	}
	return position, nil
}

// readEventLog returns the owner's announcements after seq for a watcher behind the ring,
// which begins at ringBegin. Without any up to there it returns a bookmark at ringBegin.
func (h *Hub) readEventLog(ctx context.Context, owner task.Owner, seq, ringBegin int64) ([]task.Announcement, error) {
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout)
	defer cancel()
	next, purgedThrough, err := h.eventLog.AfterOf(ctx, owner, seq, catchUpBatch)
	switch {
	case err != nil:
		return nil, err
	case purgedThrough > seq: // the owner's, or others', which the owner cannot tell
		return nil, positionGone(strconv.FormatInt(seq, 10))
	case len(next) == 0:
		return []task.Announcement{{Seq: ringBegin}}, nil
	}
	return next, nil
}

// checkRunning returns an error when the hub has stopped or ctx has ended.
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
	return apperr.New(apperr.Gone, "the events after %s are no longer in the log, or were never in it; read the list and watch from now on", token)
}

func errStopping() error {
	return apperr.New(apperr.Unavailable, "the server is stopping; resume with the token of the last event")
}
