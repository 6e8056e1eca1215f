package consumer

import (
	"github.com/prometheus/client_golang/prometheus"

	platformmetrics "example.com/todo/platform/metrics"
)

// outcome is what became of a record: the label of kafka_consumer_records_total.
type outcome string

const (
	handled      outcome = "handled"
	deadLettered outcome = "dead_lettered"
	skipped      outcome = "skipped"
)

type metrics struct {
	records     *prometheus.CounterVec
	retries     prometheus.Counter
	lost        prometheus.Counter
	replaced    prometheus.Counter
	overdue     prometheus.Gauge
	undecodable prometheus.Counter
	reported    prometheus.Counter
	handleTime  prometheus.Histogram
	lag         *lag
}

func newMetrics(reg prometheus.Registerer, group string) *metrics {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, ConstLabels: labels, Help: help})
	}
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kafka_consumer_records_total", ConstLabels: labels,
			Help: "Records that are done with, by what became of them.",
		}, []string{"outcome"}),
		retries: counter("kafka_consumer_retries_total",
			"Times that records were given to the handler again after an error."),
		lost: counter("kafka_consumer_lost_records_total",
			"Records that were deleted from the log before the group had read them."),
		replaced: counter("kafka_consumer_replaced_topics_total",
			"Times that the group's offset, or the topic that was being read, turned out to be of an earlier topic of that name."),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kafka_consumer_overdue_handlers", ConstLabels: labels,
			Help: "Calls of the handler that have not returned though their context has ended. The process ends if one does not return within 12 s.",
		}),
		undecodable: counter("kafka_consumer_undecodable_batches_total",
			"Times that a batch was met that cannot be decoded."),
		reported: counter("kafka_consumer_reported_errors_total",
			"Errors that Kafka or its client reported and that are not about the connection."),
		handleTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kafka_consumer_handle_seconds", ConstLabels: labels,
			Help:    "Duration of calls of the handler.",
			Buckets: platformmetrics.DurationBuckets(),
		}),
		lag: newLag(labels),
	}
	for _, outcome := range []outcome{handled, deadLettered, skipped} {
		m.records.WithLabelValues(string(outcome))
	}
	reg.MustRegister(m.records, m.retries, m.lost, m.replaced, m.overdue, m.undecodable, m.reported, m.handleTime, m.lag)
	return m
}

func (m *metrics) count(what outcome, records int) {
	m.records.WithLabelValues(string(what)).Add(float64(records))
}
