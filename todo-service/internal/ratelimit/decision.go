// Package ratelimit defines the decision of the rate limiter about one request. The
// adapter that counts requests and both transports share this type.
package ratelimit

import "time"

// Decision says whether a request is allowed, and how many its client has left. If the
// limiter cannot count a request, the request is allowed and the whole limit remains.
type Decision struct {
	Allowed    bool
	Limit      int           // requests in any window
	Window     time.Duration // its length
	Remaining  int           // requests left now
	Reset      time.Duration // until the oldest counted request leaves the window; zero when none was counted
	RetryAfter time.Duration // until a rejected request could pass; zero when Allowed
}
