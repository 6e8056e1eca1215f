package kafka

import "github.com/prometheus/client_golang/prometheus"

type outcome string

const (
	handled      outcome = "handled"
	deadLettered outcome = "dead_lettered"
	skipped      outcome = "passed_over"
)

type metrics struct {
	records  *prometheus.CounterVec
	retries  prometheus.Counter
	lost     prometheus.Counter
	replaced prometheus.Counter
	stuck    prometheus.Counter
	lag      *lag

	undecodable prometheus.Counter
	reported    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, group string) *metrics {
	labels := prometheus.Labels{"group": group}
	i := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kafka_consumer_records_total", ConstLabels: labels,
			Help: "Records that are done with, by what became of them.",
		}, []string{"outcome"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_retries_total", ConstLabels: labels,
			Help: "Times that records were given to the handler again after an error.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_gone_records_total", ConstLabels: labels,
			Help: "Records that the log dropped before the group had read them.",
		}),
		replaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_replaced_topics_total", ConstLabels: labels,
			Help: "Times that the group's offset, or the topic that was being read, turned out to be of an earlier topic of that name.",
		}),
		stuck: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_hung_handlers_total", ConstLabels: labels,
			Help: "Times that the handler did not return, and the process was ended for it.",
		}),
		undecodable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_undecodable_batches_total", ConstLabels: labels,
			Help: "Times that a batch was met that cannot be decoded.",
		}),
		reported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_reported_errors_total", ConstLabels: labels,
			Help: "Errors that Kafka or its client reported and that are not about the connection.",
		}),
		lag: newLag(labels),
	}
	for _, outcome := range []outcome{handled, deadLettered, skipped} {
		i.records.WithLabelValues(string(outcome))
	}
	reg.MustRegister(i.records, i.retries, i.lost, i.replaced, i.stuck, i.undecodable, i.reported, i.lag)
	return i
}

func (i *metrics) count(what outcome, records int) {
	i.records.WithLabelValues(string(what)).Add(float64(records))
}
