package consumer

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/stats-service/internal/stats"
)

type metrics struct {
	events       *prometheus.CounterVec
	unknownTypes prometheus.Counter
	recounts     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	factory := promauto.With(reg)
	m := metrics{
		events: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stats_events_total",
			Help: "Events handled: counted, duplicate (counted before, from another offset), ignored (not an event that counts).",
		}, []string{"outcome"}),
		unknownTypes: factory.NewCounter(prometheus.CounterOpts{
			Name: "stats_events_unknown_total",
			Help: "Events of a type that this version does not know, skipped.",
		}),
		recounts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "stats_recounts_total",
			Help: "Partitions that are counted from their start again: nothing_known (a new system, or an emptied Redis), inconsistent (the counters did not add up), another_topic (the topic was deleted and created again), outside_log (the stored offset was outside the log).",
		}, []string{"reason"}),
	}
	for _, outcome := range []string{"counted", "duplicate", "ignored"} {
		m.events.WithLabelValues(outcome)
	}
	for _, reason := range []stats.RecountReason{stats.NothingKnown, stats.Inconsistent, stats.AnotherTopic, stats.OutsideLog} {
		m.recounts.WithLabelValues(string(reason))
	}
	return m
}
