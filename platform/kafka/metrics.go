package kafka

import "github.com/prometheus/client_golang/prometheus"

type outcome string

const (
	handled      outcome = "handled"
	deadLettered outcome = "dead_lettered"
	passedOver   outcome = "passed_over"
)

type instruments struct {
	records  *prometheus.CounterVec
	retries  prometheus.Counter
	gone     prometheus.Counter
	replaced prometheus.Counter
	hung     prometheus.Counter
	lag      *lag

	undecodable prometheus.Counter
	reported    prometheus.Counter
}

func newInstruments(reg prometheus.Registerer, group string) *instruments {
	labels := prometheus.Labels{"group": group}
	i := &instruments{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kafka_consumer_records_total", ConstLabels: labels,
			Help: "Records that are done with, by what became of them.",
		}, []string{"outcome"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_retries_total", ConstLabels: labels,
			Help: "Times that records were given to the handler again after an error.",
		}),
		gone: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_gone_records_total", ConstLabels: labels,
			Help: "Records that the log dropped before the group had read them.",
		}),
		replaced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_consumer_replaced_topics_total", ConstLabels: labels,
			Help: "Times that the group's offset, or the topic that was being read, turned out to be of an earlier topic of that name.",
		}),
		hung: prometheus.NewCounter(prometheus.CounterOpts{
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
	for _, outcome := range []outcome{handled, deadLettered, passedOver} {
		i.records.WithLabelValues(string(outcome))
	}
	reg.MustRegister(i.records, i.retries, i.gone, i.replaced, i.hung, i.undecodable, i.reported, i.lag)
	return i
}

func (i *instruments) count(what outcome, records int) {
	i.records.WithLabelValues(string(what)).Add(float64(records))
}
