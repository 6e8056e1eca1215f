package redis

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/metrics"
)

// durationHook is a hook of go-redis that observes the durations of commands and pipelines.
type durationHook struct{ succeeded, failed prometheus.Observer }

// newDurationHook registers the histogram with reg, unless that is nil.
func newDurationHook(server string, reg prometheus.Registerer) durationHook {
	durations := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:        "redis_roundtrip_seconds",
		Help:        "Duration of commands and pipelines, including the wait for a connection.",
		ConstLabels: prometheus.Labels{"server": server},
		Buckets:     metrics.DurationBuckets(),
	}, []string{"result"})
	return durationHook{succeeded: durations.WithLabelValues("ok"), failed: durations.WithLabelValues("error")}
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
	result := h.succeeded
	// A reply that is an error, such as NOSCRIPT, is a reply, and Nil is one as well.
	var reply goredis.Error
	if err != nil && !errors.As(err, &reply) {
		result = h.failed
	}
	result.Observe(time.Since(start).Seconds())
}
