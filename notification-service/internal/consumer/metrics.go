package consumer

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/notification-service/internal/notify"
)

// deliveryBuckets are in seconds. Deliveries take milliseconds, and as long as an outage after one.
var deliveryBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}

type metrics struct {
	events       *prometheus.CounterVec
	delivery     prometheus.Histogram
	unknownTypes prometheus.Counter
	beyondLog    prometheus.Counter
	replaced     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	factory := promauto.With(reg)
	m := metrics{
		events: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "notification_events_total",
			Help: "Events handled: sent, duplicate (sent before, by the event's dedup key), redelivered (handled before, by the record's offset), ignored (not an event that notifies).",
		}, []string{"outcome"}),
		delivery: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "notification_delivery_seconds",
			Help:    "Time from a task's completion until its notification was sent, with the batch that it was in.",
			Buckets: deliveryBuckets,
		}),
		unknownTypes: factory.NewCounter(prometheus.CounterOpts{
			Name: "notification_events_unknown_total",
			Help: "Events of a type that this version does not know, skipped.",
		}),
		replaced: factory.NewCounter(prometheus.CounterOpts{
			Name: "notification_offsets_replaced_topic_total",
			Help: "Stored offsets that belonged to an earlier topic of that name, and were cleared.",
		}),
		beyondLog: factory.NewCounter(prometheus.CounterOpts{
			Name: "notification_stored_offset_beyond_log_total",
			Help: "Stored offsets beyond the end of the log, cleared: the topic was created again, or lost its end.",
		}),
	}
	for _, outcome := range []string{string(notify.Sent), string(notify.Duplicate), string(notify.Ignored), "redelivered"} {
		m.events.WithLabelValues(outcome)
	}
	return m
}
