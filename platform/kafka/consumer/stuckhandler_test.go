package consumer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
)

func TestWatchdogEndsTheSessionOfAStuckHandler(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		returns   time.Duration // after the call began
		count     int
		err       error
		stops     time.Duration // when the session ends, after the call began; 0 for never
		hangs     bool
		committed int64
	}{
		"returns in time":                    {returns: handlerTimeout - time.Second, count: 2, committed: 12},
		"returns when canceled, with a part": {returns: handlerTimeout + time.Second, count: 1, err: context.DeadlineExceeded, committed: 11},
		"does not return":                    {returns: 24 * time.Hour, hangs: true},
		"does not return when stopped":       {returns: 24 * time.Hour, stops: time.Second, hangs: true},
		"returns late when stopped":          {returns: drainTimeout + 3*time.Second, stops: time.Second, count: 2, committed: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, log, calls := &memoryStore{}, &bytes.Buffer{}, 0
				letGo := make(chan struct{})
				for range 1000 { // the handler is one goroutine of many
					go func() { <-letGo }()
				}
				group := newTestGroup(scriptedHandler{handle: func(ctx context.Context, _ []kafka.Record) (int, error) {
					if calls++; calls > 1 {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					select {
					case <-time.After(test.returns):
					case <-letGo:
					}
					return test.count, test.err
				}}, s)
				group.log = slog.New(slog.NewTextHandler(log, nil))
				p := startConsumerIn(t, group, 0, 10, 11)
				if test.stops > 0 {
					advanceClock(test.stops)
					p.endSession()
				}
				advanceClock(handlerTimeout + handlerGrace/2)
				expectOverdue := func() {
					t.Helper()
					if got := testutil.ToFloat64(group.metrics.overdue); (got == 1) != test.hangs {
						t.Errorf("%v handlers are overdue", got)
					}
				}
				expectOverdue()
				advanceClock(handlerGrace)
				expectOverdue()
				defer func() {
					p.endSession()
					advanceClock(drainTimeout + time.Second)
				}()
				defer close(letGo)
				ended, err := p.ended()
				if hangs := ended && errors.Is(err, errHandlerStuck); hangs != test.hangs || p.lastCommitted() != test.committed {
					t.Errorf("ended: %v with %v; committed %v", ended, err, p.committed)
				}
				if !test.hangs {
					return
				}
				if !strings.Contains(log.String(), "(*partitionConsumer).callRecovering(") {
					t.Errorf("the log has no stack of the handler: %.1000s", log)
				}
				if diff := cmp.Diff(quarantine.State{InFlight: quarantine.OffsetRange{From: 10, To: 12}}, s.state(t)); diff != "" {
					t.Errorf("what the next reader finds (-want +got):\n%s", diff)
				}
			})
		})
	}
}
