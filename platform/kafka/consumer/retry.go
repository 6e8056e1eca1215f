package consumer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"example.com/todo/platform/retry"
)

// retryBackoff is the delay between the attempts of an operation that holds a
// partition, or of joining the group: 10 s at most, jitter included.
var retryBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 6600 * time.Millisecond}

// newOutage returns the log lines of an operation that is retried and holds its
// partition meanwhile.
func newOutage(log *slog.Logger, operation string, offset int64) *retry.Outage {
	return retry.NewOutage(log.With("offset", offset),
		"kafka consumer: "+operation+" failed, holding the partition and retrying", "kafka consumer: "+operation+" succeeded")
}

// logPanic logs the stack if the error is a recovered panic.
func logPanic(log *slog.Logger, operation string, offset int64, err error) {
	var recovered *panicError
	if errors.As(err, &recovered) {
		log.Error("kafka consumer: "+operation+" panicked", "offset", offset, "error", err, "stack", string(recovered.stack))
	}
}

// recordRetry is the state of retrying one record.
type recordRetry struct {
	outage *retry.Outage
	delays *backoff.ExponentialBackOff
}

func newRecordRetry(log *slog.Logger, offset int64) *recordRetry {
	return &recordRetry{outage: newOutage(log, "handling a record", offset), delays: retryBackoff.Delays()}
}

// wait records the failure and waits for the next attempt. It returns false if ctx has
// ended.
func (r *recordRetry) wait(ctx context.Context, err error) bool {
	r.outage.Record(ctx, err)
	return retry.Wait(ctx, r.delays.NextBackOff())
}
