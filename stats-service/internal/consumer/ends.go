package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"example.com/todo/platform/retry"
)

const (
	endsEvery   = time.Second
	endsTimeout = 3 * time.Second
)

// Ends keeps at hand where the log's partitions end: it is a stats.Log.
type Ends struct {
	survey func(context.Context) (map[int32]int64, error)
	log    *slog.Logger

	mu     sync.Mutex
	latest map[int32]int64 // nil while nobody could say
}

// NewEnds returns the ends as survey gives them; see kafka.Group.Ends.
func NewEnds(survey func(context.Context) (map[int32]int64, error), log *slog.Logger) *Ends {
	return &Ends{survey: survey, log: log}
}

// Run asks about once a second until ctx ends.
func (e *Ends) Run(ctx context.Context) error {
	ticker := time.NewTicker(endsEvery)
	defer ticker.Stop()
	outage := retry.NewOutage(e.log, "the log's end is not known, and so no lag", "the log's end is known again")
	for {
		latest, err := e.Survey(ctx)
		if ctx.Err() != nil {
			return nil
		}
		outage.Record(ctx, err)
		e.mu.Lock()
		e.latest = latest
		e.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Ends implements stats.Log.
func (e *Ends) Ends() (map[int32]int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.latest, e.latest != nil
}

// Survey implements stats.Log.
func (e *Ends) Survey(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, endsTimeout)
	defer cancel()
	return e.survey(ctx)
}
