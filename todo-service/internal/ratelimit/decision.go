// Package ratelimit defines what limits count, a client, and the decision of the rate
// limiter about one request. The adapters that count and the transports share these types.
package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
)

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

// Err returns nil if the request is allowed, and otherwise apperr.RateLimited.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	err := apperr.New(apperr.RateLimited, "too many requests")
	err.RetryAfter = d.RetryAfter
	return err
}

// SetHeaders sets the headers of draft-ietf-httpapi-ratelimit-headers-10: the policy, and
// requests left (r) with the seconds until the oldest counted request leaves the window (t).
func (d Decision) SetHeaders(header http.Header) {
	// Every response has both headers, and fmt takes more than twice the time.
	header["Ratelimit-Policy"] = []string{`"default";q=` + strconv.Itoa(d.Limit) + `;w=` + ceilSeconds(d.Window)}
	header["Ratelimit"] = []string{`"default";r=` + strconv.Itoa(d.Remaining) + `;t=` + ceilSeconds(d.Reset)}
}

// ceilSeconds rounds up: a client that waits that many seconds has waited long enough.
func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
