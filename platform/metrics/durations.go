package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Durations is a histogram of durations with the label result: ok or error. It may be used
// by several goroutines.
type Durations struct{ succeeded, failed prometheus.Observer }

// NewDurations registers the histogram with reg, unless that is nil.
func NewDurations(reg prometheus.Registerer, name, help string, labels prometheus.Labels) Durations {
	histogram := promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, ConstLabels: labels, Buckets: DurationBuckets(),
	}, []string{"result"})
	return Durations{succeeded: histogram.WithLabelValues("ok"), failed: histogram.WithLabelValues("error")}
}

// ObserveSince adds the time since start, by whether err is nil.
func (d Durations) ObserveSince(start time.Time, err error) {
	result := d.succeeded
	if err != nil {
		result = d.failed
	}
	result.Observe(time.Since(start).Seconds())
}
