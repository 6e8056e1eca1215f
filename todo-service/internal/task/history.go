package task

import "context"

// Page selects events of one task, in version order.
type Page struct {
	After int64 // the version after which the page begins
	Limit int   // 1 to MaxLimit; 0 means MaxLimit
}

// History returns a page of a task's events, oldest first, and whether a later page has
// more. A deleted task keeps its history. Purged events are missing from it. If neither
// the task nor an event of it is left, the error is NotFoundError.
func (s *Service) History(ctx context.Context, id int64, p Page) (events []Event, more bool, err error) {
	if err := validateID(id); err != nil {
		return nil, false, err
	}
	if p.Limit == 0 {
		p.Limit = MaxLimit
	}
	if err := (Query{After: p.After, Limit: p.Limit}).validate(); err != nil {
		return nil, false, err
	}
	events, err = s.store.History(ctx, id, p.After, p.Limit+1) // the extra event only tells whether a later page exists
	switch {
	case err != nil:
		return nil, false, err
	case len(events) == 0:
		return nil, false, s.existed(ctx, id, p.After)
	case len(events) > p.Limit:
		return events[:p.Limit], true, nil
	}
	return events, false, nil
}

// existed returns nil if a task without events after that version exists or existed, and
// otherwise NotFoundError.
func (s *Service) existed(ctx context.Context, id, after int64) error {
	if after > 0 {
		earlier, err := s.store.History(ctx, id, 0, 1)
		if err != nil || len(earlier) > 0 {
			return err
		}
	}
	_, err := s.store.Get(ctx, id) // a task whose events were purged still exists here
	return err
}
