package sender

import "net/http"

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
