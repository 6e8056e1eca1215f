package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"example.com/todo/platform/retry"
)

const (
	logEndsInterval = time.Second
	logEndsTimeout  = 3 * time.Second
)

// LogEndOffsets keeps at hand where the log's partitions end: it is a stats.Log.
type LogEnds struct {
	request func(context.Context) (map[int32]int64, error)
	log    *slog.Logger

	mu     sync.Mutex
	latest map[int32]int64 // nil while nobody could say
}

// NewLogEnds returns the ends as survey gives them; see kafka.Group.Ends.
func NewLogEnds(survey func(context.Context) (map[int32]int64, error), log *slog.Logger) *LogEnds {
	return &LogEnds{request: survey, log: log}
}

// Run asks about once a second until ctx ends.
func (e *LogEnds) Run(ctx context.Context) error {
	ticker := time.NewTicker(logEndsInterval)
	defer ticker.Stop()
	outage := retry.NewOutage(e.log, "the log's end is not known, and so no lag", "the log's end is known again")
	for {
		latest, err := e.Fetch(ctx)
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

// LogEndOffsets implements stats.Log.
func (e *LogEnds) Latest() (map[int32]int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.latest, e.latest != nil
}

// Survey implements stats.Log.
func (e *LogEnds) Fetch(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, logEndsTimeout)
	defer cancel()
	return e.request(ctx)
}
