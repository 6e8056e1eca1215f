package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/retry"
)

func TestJanitorDeletesInBatchesOnceAMinuteAndLogsAnOutageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute+time.Second)
		defer stop()
		var logs bytes.Buffer
		rows, batches, passes := 2500, 0, 0
		outage := retry.NewOutage(slog.New(slog.NewTextHandler(&logs, nil)), "failed", "works again")
		err := janitor.Run(ctx, outage, func(ctx context.Context) error {
			passes++
			_, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
				if _, bounded := ctx.Deadline(); !bounded || passes <= 2 {
					return 0, errors.New("away")
				}
				batches++
				deleted := min(rows, limit)
				rows -= deleted
				return deleted, nil
			})
			return err
		})
		if err != nil || rows != 0 || passes != 5 || batches != 3+1+1 {
			t.Errorf("%d rows are left after %d passes with %d batches, error %v", rows, passes, batches, err)
		}
		if warned := strings.Count(logs.String(), "level=WARN"); warned != 1 {
			t.Errorf("want one warning for the outage, got:\n%s", &logs)
		}
	})
}
