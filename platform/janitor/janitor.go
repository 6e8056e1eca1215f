// Package janitor implements the periodic deletion of expired rows, in batches that
// keep every statement short.
package janitor

import (
	"context"
	"time"

	"example.com/todo/platform/retry"
)

const (
	interval     = time.Minute      // from the end of a pass to the next
	batchSize    = 1000             // rows in one statement, which then takes some 10 ms
	batchTimeout = 10 * time.Second // of one statement
)

// Run calls pass at once and then every minute, until ctx ends, and returns nil. The
// outage records the result of each pass; a failed pass is repeated in a minute.
func Run(ctx context.Context, outage *retry.Outage, pass func(context.Context) error) error {
	for {
		err := pass(ctx)
		if ctx.Err() == nil {
			outage.Record(ctx, err)
		}
		if !retry.Wait(ctx, interval) {
			return nil
		}
	}
}

// DeleteAll calls deleteBatch until a batch is smaller than its limit, and returns
// how many rows were deleted. deleteBatch deletes at most limit rows and returns how
// many. The first error ends the pass; earlier batches stay deleted.
func DeleteAll(ctx context.Context, deleteBatch func(ctx context.Context, limit int) (int, error)) (total int, err error) {
	for deleted := batchSize; deleted == batchSize; total += deleted {
		batchCtx, cancel := context.WithTimeout(ctx, batchTimeout)
		deleted, err = deleteBatch(batchCtx, batchSize)
		cancel()
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
