package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"example.com/todo/platform/retry"
)

const (
	logEndsInterval = time.Second     // between requests: /stats shows the lag
	logEndsTimeout  = 3 * time.Second // of one request
)

// LogEnds caches the log-end offsets of the topic; it is a stats.LogEnds.
type LogEnds struct {
	request func(context.Context) (map[int32]int64, error)
	log     *slog.Logger

	mu     sync.Mutex
	latest map[int32]int64 // nil while unknown
}

// NewLogEnds returns a cache of what request returns; see kafkaconsumer.Group.LogEndOffsets.
func NewLogEnds(request func(context.Context) (map[int32]int64, error), log *slog.Logger) *LogEnds {
	return &LogEnds{request: request, log: log}
}

// Run requests the offsets about once a second until ctx ends.
func (e *LogEnds) Run(ctx context.Context) error {
	outage := retry.NewOutage(e.log, "the log-end offsets are unknown, and so is the lag", "the log-end offsets are known again")
	for {
		latest, err := e.Fetch(ctx)
		if ctx.Err() == nil {
			outage.Record(ctx, err)
		}
		e.mu.Lock()
		e.latest = latest
		e.mu.Unlock()
		if !retry.Wait(ctx, logEndsInterval) {
			return nil
		}
	}
}

// Latest implements stats.LogEnds.
func (e *LogEnds) Latest() (map[int32]int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.latest, e.latest != nil
}

// Fetch implements stats.LogEnds.
func (e *LogEnds) Fetch(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, logEndsTimeout)
	defer cancel()
	return e.request(ctx)
}
