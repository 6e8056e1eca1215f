package redis

import (
	"context"
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
	return observe(h, next)
}

func (h durationHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return observe(h, next)
}

// observe returns next, with its duration observed. An error that is a reply counts as success.
func observe[T any](h durationHook, next func(context.Context, T) error) func(context.Context, T) error {
	return func(ctx context.Context, request T) error {
		start := time.Now()
		err := next(ctx, request)
		failure := err
		if isReply(err) {
			failure = nil
		}
		h.ObserveSince(start, failure)
		return err
	}
}
