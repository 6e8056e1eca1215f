// Package ratelimit holds the rate limiter's decision: what an adapter that counts
// requests tells the transports about one of them.
package ratelimit

import "time"

// Decision says whether a request may pass and what is left of its client's
// limit. When the limiter cannot count a request, the request passes and the
// whole limit remains.
type Decision struct {
	Allowed    bool
	Limit      int           // requests in any window
	Window     time.Duration // its length
	Remaining  int           // requests left now
	Reset      time.Duration // until the oldest counted request leaves the window; zero when none was counted
	RetryAfter time.Duration // until a rejected request could pass; zero when Allowed
}
