// Package edge holds what the stores in front of the application tell the
// transports: an answer kept ready, and what is left of a client's budget.
package edge

import "time"

// CachedList is the answer to a list, ready to send.
type CachedList struct {
	Body []byte // the JSON array, as answered
	Link string // the Link header, or "" when there is no further page
	ETag string // the body's strong entity tag
	Hit  bool   // it came from the cache and the store was not asked
}

// Budget is what the rate limiter says of one request. When it could not count
// that, the request passes and the whole budget remains.
type Budget struct {
	Allowed    bool
	Limit      int           // requests in any window
	Window     time.Duration // its length
	Remaining  int           // requests left now
	Reset      time.Duration // until the oldest counted request leaves the window; zero when none was counted
	RetryAfter time.Duration // until a refused request could pass; zero when Allowed
}
