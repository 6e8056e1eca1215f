package redis

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/metrics"
)

// durationHook is a hook of go-redis that observes the durations of commands and pipelines.
type durationHook struct{ metrics.Durations }

// newDurationHook registers the histogram with reg, unless that is nil.
func newDurationHook(server string, reg prometheus.Registerer) durationHook {
	return durationHook{metrics.NewDurations(reg, "redis_roundtrip_seconds",
		"Duration of commands and pipelines, including the wait for a connection.", prometheus.Labels{"server": server})}
}

func (durationHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (h durationHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		h.observe(start, err)
		return err
	}
}

func (h durationHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		h.observe(start, err)
		return err
	}
}

func (h durationHook) observe(start time.Time, err error) {
	// A reply that is an error, such as NOSCRIPT, is a reply, and Nil is one as well.
	var reply goredis.Error
	if errors.As(err, &reply) {
		err = nil
	}
	h.ObserveSince(start, err)
}
