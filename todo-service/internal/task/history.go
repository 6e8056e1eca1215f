package task

import "context"

// Page selects events of one task, in the order of their versions.
type Page struct {
	After int64 // only versions greater than this
	Limit int   // at most this many, 1 to MaxLimit; 0 means MaxLimit
}

// History returns what happened to a task, oldest first, and whether there is
// more behind it. A deleted task keeps its history. What was purged is missing
// from it; a task of which nothing at all is left is NotFoundError.
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
	events, err = s.store.History(ctx, id, p.After, p.Limit+1) // one more tells whether there are more
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

// existed says whether there is, or was, a task that has no events behind after.
func (s *Service) existed(ctx context.Context, id, after int64) error {
	if after > 0 {
		earlier, err := s.store.History(ctx, id, 0, 1)
		if err != nil || len(earlier) > 0 {
			return err
		}
	}
	_, err := s.store.Get(ctx, id) // its events were purged
	return err
}
