package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/stats-service/internal/consumer"
)

func TestTheEndsAreFreshOrUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type survey func(context.Context) (map[int32]int64, error)
		says := func(ends map[int32]int64) survey {
			return func(context.Context) (map[int32]int64, error) { return ends, nil }
		}
		fails := func(context.Context) (map[int32]int64, error) { return nil, errors.New("kafka is away") }
		hangs := func(ctx context.Context) (map[int32]int64, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var kafka atomic.Pointer[survey]
		set := func(s survey) { kafka.Store(&s) }
		var log bytes.Buffer
		ends := consumer.NewLogEnds(func(ctx context.Context) (map[int32]int64, error) {
			return (*kafka.Load())(ctx)
		}, slog.New(slog.NewTextHandler(&log, nil)))
		expect := func(after time.Duration, want map[int32]int64) {
			t.Helper()
			time.Sleep(after) //nolint:forbidigo // the bubble's clock, not the wall's
			synctest.Wait()
			got, known := ends.Latest()
			if known != (want != nil) {
				t.Errorf("known %t, want %t", known, want != nil)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		expect(0, nil)

		set(says(map[int32]int64{0: 5}))
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- ends.Run(ctx) }()
		expect(0, map[int32]int64{0: 5})
		set(says(map[int32]int64{0: 6}))
		expect(time.Second, map[int32]int64{0: 6})
		set(fails)
		expect(3*time.Second, nil)
		set(says(map[int32]int64{0: 7}))
		expect(time.Second, map[int32]int64{0: 7})
		set(hangs)
		expect(5*time.Second, nil)

		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		if told, again := strings.Count(log.String(), "is not known"), strings.Count(log.String(), "is known again"); told != 2 || again != 1 {
			t.Errorf("told %d times that it is not known, want 2, and %d times that it is again, want 1:\n%s", told, again, &log)
		}
	})
}
