package janitor_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/retry"
)

func TestJanitorDeletesInBatchesOnceAMinuteAndRepeatsAFailedPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute+time.Second)
		defer stop()
		expired, batches, passes := 2500, 0, 0
		outage := retry.NewOutage(slog.New(slog.DiscardHandler), "away", "back")
		err := janitor.Run(ctx, outage, func(ctx context.Context) error {
			passes++
			_, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
				if _, bounded := ctx.Deadline(); !bounded || passes == 1 {
					return 0, errors.New("away")
				}
				batches++
				n := min(expired, limit)
				expired -= n
				return n, nil
			})
			return err
		})
		if err != nil || expired != 0 || passes != 4 || batches != 3+1+1 {
			t.Errorf("%d rows are left after %d passes with %d batches, error %v", expired, passes, batches, err)
		}
	})
}
