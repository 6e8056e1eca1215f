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

func TestLogEndsAreFreshOrUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type request func(context.Context) (map[int32]int64, error)
		returns := func(ends map[int32]int64) request {
			return func(context.Context) (map[int32]int64, error) { return ends, nil }
		}
		fails := func(context.Context) (map[int32]int64, error) { return nil, errors.New("kafka is down") }
		hangs := func(ctx context.Context) (map[int32]int64, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var current atomic.Pointer[request]
		set := func(r request) { current.Store(&r) }
		var log bytes.Buffer
		logEnds := consumer.NewLogEnds(func(ctx context.Context) (map[int32]int64, error) {
			return (*current.Load())(ctx)
		}, slog.New(slog.NewTextHandler(&log, nil)))
		expect := func(after time.Duration, want map[int32]int64) {
			t.Helper()
			time.Sleep(after) //nolint:forbidigo // the bubble's clock, not the wall's
			synctest.Wait()
			got, known := logEnds.Latest()
			if known != (want != nil) {
				t.Errorf("known %t, want %t", known, want != nil)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		expect(0, nil)

		set(returns(map[int32]int64{0: 5}))
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- logEnds.Run(ctx) }()
		expect(0, map[int32]int64{0: 5})
		set(returns(map[int32]int64{0: 6}))
		expect(time.Second, map[int32]int64{0: 6})
		set(fails)
		expect(3*time.Second, nil)
		set(returns(map[int32]int64{0: 7}))
		expect(time.Second, map[int32]int64{0: 7})
		set(hangs)
		expect(5*time.Second, nil)

		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		if unknown, known := strings.Count(log.String(), "are unknown"), strings.Count(log.String(), "are known again"); unknown != 2 || known != 1 {
			t.Errorf("%d lines that they are unknown, want 2, and %d that they are known again, want 1:\n%s", unknown, known, &log)
		}
	})
}
