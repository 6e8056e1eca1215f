package kafka

import (
	"errors"
	"log/slog"
	"time"
)

// holdup follows something that keeps failing: how often, and since when. It
// logs the first failure and the end of it, not each try.
type holdup struct {
	log    *slog.Logger
	what   string
	offset int64

	pause    pause
	attempts int // that failed
	since    time.Time
}

func (h *holdup) failed(err error) {
	h.attempts++
	var caught *panicked
	if errors.As(err, &caught) {
		h.log.Error(h.what+" panicked", "offset", h.offset, "error", err, "stack", string(caught.stack))
	}
	if h.attempts == 1 {
		h.since = time.Now()
		h.log.Warn(h.what+" fails, holding the partition", "offset", h.offset, "error", err)
	}
}

func (h *holdup) over() {
	if h.attempts > 0 {
		h.log.Info(h.what+" succeeded at last", "offset", h.offset, "attempts", h.attempts+1,
			"after", time.Since(h.since).Round(time.Millisecond))
	}
	h.attempts = 0
	h.pause.reset()
}
