// Package promcollector implements the Prometheus collectors of stats-service that read
// the statistics at each scrape.
package promcollector

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/stats-service/internal/stats"
)

// readTimeout bounds the read of one scrape. It is well below the scrape timeout of 4 s
// that compose/prometheus sets, so that the other metrics are scraped while Redis is frozen,
// and well below the time that the ops port gives a scrape when the service stops.
const readTimeout = 500 * time.Millisecond

// Reporter returns the statistics; see stats.Service. It is what GET /stats serves.
type Reporter interface {
	Report(ctx context.Context, days int) (stats.Report, error)
}

// CompletedToday collects the gauge stats_completed_today_tasks. Several goroutines may
// use it.
type CompletedToday struct {
	reporter Reporter
	desc     *prometheus.Desc
}

// NewCompletedToday returns the collector of the reporter's completed_today.
func NewCompletedToday(reporter Reporter) CompletedToday {
	return CompletedToday{reporter: reporter, desc: prometheus.NewDesc("stats_completed_today_tasks",
		"Tasks completed on the current UTC day, as GET /stats serves them; absent while Redis does not answer.", nil, nil)}
}

// Describe sends the gauge's description.
func (c CompletedToday) Describe(descs chan<- *prometheus.Desc) { descs <- c.desc }

// Collect sends the gauge, or nothing when the report fails or takes longer than 500 ms.
func (c CompletedToday) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	// The readiness check logs an outage of Redis. A metric with an error would add a log
	// line for each scrape.
	report, err := c.reporter.Report(ctx, 1)
	if err != nil {
		return
	}
	metrics <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(report.CompletedToday))
}
