package postgres

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/metrics"
)

// statementMetrics observes the durations of statements by their result.
type statementMetrics struct{ succeeded, failed prometheus.Observer }

// newStatementMetrics registers the histogram with reg, unless that is nil.
func newStatementMetrics(reg prometheus.Registerer) statementMetrics {
	durations := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "postgres_statement_seconds",
		Help:    "Duration of statements until their first row or their end.",
		Buckets: metrics.DurationBuckets(),
	}, []string{"result"})
	return statementMetrics{succeeded: durations.WithLabelValues("ok"), failed: durations.WithLabelValues("error")}
}

func (m statementMetrics) observe(start time.Time, err error) {
	result := m.succeeded
	if err != nil {
		result = m.failed
	}
	result.Observe(time.Since(start).Seconds())
}
