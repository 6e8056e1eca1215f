package task

import (
	"cmp"
	"context"
)

// History returns at most limit (0 means MaxLimit) of a task's events with a version
// greater than after, oldest first, and whether there are more. A deleted task keeps its
// history. Purged events are missing from it. If neither the task nor an event of it is
// left, the error is NotFoundError.
func (s *Service) History(ctx context.Context, owner Owner, id, after int64, limit int) (events []Event, more bool, err error) {
	if err := validateID(id); err != nil {
		return nil, false, err
	}
	limit = cmp.Or(limit, MaxLimit)
	if err := (Query{After: after, Limit: limit}).validate(); err != nil {
		return nil, false, err
	}
	events, err = s.store.History(ctx, owner, id, after, limit+1) // the extra event only tells whether a later page exists
	switch {
	case err != nil:
		return nil, false, err
	case len(events) == 0:
		return nil, false, s.existed(ctx, owner, id, after)
	case len(events) > limit:
		return events[:limit], true, nil
	}
	return events, false, nil
}

// existed returns nil if a task without events after that version exists or existed, and
// otherwise NotFoundError.
func (s *Service) existed(ctx context.Context, owner Owner, id, after int64) error {
	if after > 0 {
		earlier, err := s.store.History(ctx, owner, id, 0, 1)
		if err != nil || len(earlier) > 0 {
			return err
		}
	}
	_, err := s.store.Get(ctx, owner, id) // a task whose events were purged still exists here
	return err
}
