package sender

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// result is the class of an attempt; as text it is the label outcome.
type result string

const (
	delivered   result = "delivered"   // 2xx
	rejected    result = "refused"     // the receiver does not accept this notification
	retryable   result = "retryable"   // the receiver answered that it cannot, now or as configured
	unreachable result = "unreachable" // no response, or an incomplete one
)

// classify returns the class of a response. Only a rejected notification may be given
// up; the other failures are about the receiver and are retried without an end.
func classify(status int, err error) result {
	switch {
	case err != nil:
		return unreachable
	case status/100 == 2:
		return delivered
	// These three 4xx ask for a retry.
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return retryable
	case status/100 == 4:
		return rejected
	default: // a 5xx is a failure of the receiver, any other status one of its configuration
		return retryable
	}
}

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
