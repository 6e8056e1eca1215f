package sender

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// result is what an attempt came to.
type result string

const (
	delivered   result = "delivered"   // 2xx
	rejected    result = "refused"     // the receiver does not want this one
	retryable   result = "unwell"      // it answered that it can not, now or as configured
	unreachable result = "unreachable" // no answer, or not all of it
)

// classify tells a notification that is not wanted from a receiver that is not
// well. A 4xx is about the request. But 408, 425 and 429 ask for another try, a
// 5xx is the receiver's own trouble, and a 3xx or anything stranger is the
// operator's: no notification is given up because of those, however long they last.
func classify(status int, err error) result {
	switch {
	case err != nil:
		return unreachable
	case status/100 == 2:
		return delivered
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return retryable
	case status/100 == 4:
		return rejected
	default:
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
			Help: "Requests to the webhook: delivered (2xx), refused (4xx but 408, 425, 429), unwell (any other answer), unreachable (no whole answer).",
		}, []string{"outcome"}),
		seconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "notification_webhook_request_duration_seconds",
			Help:    "How long requests to the webhook took, to the end of their answers or their failures.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, v := range []result{delivered, rejected, retryable, unreachable} {
		m.requests.WithLabelValues(string(v))
	}
	return m
}
