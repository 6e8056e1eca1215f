package sender

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the numbers and the durations of requests to the webhook.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) metrics {
	factory := promauto.With(reg)
	m := metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "notification_webhook_requests_total",
			Help: "Requests to the webhook: delivered (2xx), refused (4xx except 408, 425, 429), retryable (any other response), unreachable (no complete response).",
		}, []string{"outcome"}),
		seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "notification_webhook_request_duration_seconds",
			Help: "How long requests to the webhook took, to the end of their responses or their failures.",
		}),
	}
	for _, v := range []result{delivered, rejected, retryable, unreachable} {
		m.requests.WithLabelValues(string(v))
	}
	return m
}
