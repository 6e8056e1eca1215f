package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/task"
)

const (
	pollInterval    = time.Second // how late a change can be when the feed is away
	eventLogTimeout = 5 * time.Second
	readBatch       = 256 // announcements the follower reads from the log
	retryPause      = 200 * time.Millisecond
	retryAtMost     = 2 * time.Second
)

// EventLog is the record of all announcements. A number, once any reader or the feed
// has shown it, belongs to that announcement for ever.
type EventLog interface {
	// After returns the announcements that follow seq, in order and without gaps,
	// at most limit.
	After(ctx context.Context, seq int64, limit int) ([]task.Announcement, error)
	// Bounds returns which log this is, and which part of it is there.
	Bounds(ctx context.Context) (task.EventLogRange, error)
}

// Feed tells of announcements as they are made. It may lose, repeat and reorder
// them, and tell of those of other logs.
type Feed interface {
	// Subscribe calls deliver for each announcement until ctx ends (nil) or the
	// feed fails (an error), and doubt whenever some may have been missed, first
	// once the subscription stands. It makes both calls from its own goroutine.
	Subscribe(ctx context.Context, doubt func(), deliver func(task.Announcement)) error
}

// Hub is the one follower of the process and the place where watchers meet it.
type Hub struct {
	feed     Feed
	eventLog EventLog
	log      *slog.Logger

	catchUpRequest chan struct{} // asks the follower to read the log; holds one request
	stopped        chan struct{} // closed when Run ends

	mu          sync.RWMutex
	loaded      bool   // what is newest in the log; until then the ring means nothing
	logName     string // of the log that the ring is of
	ring        ring
	ringChanged chan struct{} // closed, and replaced, when the ring has grown or become known
	logReset    chan struct{} // closed, and replaced, when the log is no longer the one that was watched

	gaps prometheus.Counter
}

// NewHub returns a hub over feed and log. Watchers are served while Run runs.
func NewHub(feed Feed, log EventLog, out *slog.Logger, reg prometheus.Registerer) *Hub {
	metrics := promauto.With(reg)
	return &Hub{
		feed:           feed,
		eventLog:       log,
		log:            out,
		catchUpRequest: make(chan struct{}, 1),
		stopped:        make(chan struct{}),
		ringChanged:    make(chan struct{}),
		logReset:       make(chan struct{}),
		gaps: metrics.NewCounter(prometheus.CounterOpts{
			Name: "todo_watch_gaps_total",
			Help: "Announcements that came from the log because the live feed did not bring them in order.",
		}),
	}
}

// Run follows the log until ctx ends, and returns nil. All watches then end with
// fault.Unavailable. Feed and log may be away at any time: what they have
// meanwhile is delivered when they are back.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.stopped)
	var parts sync.WaitGroup
	parts.Go(func() { h.subscribe(ctx) })
	parts.Go(func() { h.follow(ctx) })
	parts.Wait()
	return nil
}

// subscribe keeps one subscription.
func (h *Hub) subscribe(ctx context.Context) {
	pause := retryPause
	outage := retry.NewOutage(h.log, "the live feed is away: watchers are served from the log, up to a second late", "the live feed is back")
	for {
		err := h.feed.Subscribe(ctx, func() {
			outage.Record(ctx, nil)
			pause = retryPause
			h.requestCatchUp()
		}, h.onFeedEvent)
		if ctx.Err() != nil {
			return
		}
		outage.Record(ctx, err)
		retry.Wait(ctx, pause/2+rand.N(pause/2))
		pause = min(2*pause, retryAtMost)
	}
}

// onFeedEvent takes an announcement from the feed. Only the very next one can be
// trusted to leave no gap. One without a log, as older replicas make them, is a hint.
func (h *Hub) onFeedEvent(a task.Announcement) {
	h.mu.Lock()
	ours := h.loaded && a.Log == h.logName
	next := ours && a.Seq == h.ring.newest+1
	doubtful := !h.loaded || a.Log == "" || ours && a.Seq > h.ring.newest+1
	if next {
		h.append(a)
	}
	h.mu.Unlock()
	if doubtful {
		h.requestCatchUp()
	}
}

func (h *Hub) requestCatchUp() {
	select {
	case h.catchUpRequest <- struct{}{}:
	default: // the follower has yet to read, and will see this too
	}
}

// follow reads the log whenever there is doubt, and once in a while without.
func (h *Hub) follow(ctx context.Context) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	outage := retry.NewOutage(h.log, "the log can not be read: watchers wait", "the log can be read again")
	for {
		err := h.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		outage.Record(ctx, err)
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-h.catchUpRequest:
		}
	}
}

// catchUp brings the ring to the log's head.
func (h *Hub) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout)
	defer cancel()
	known, name, tip := h.position()
	log, err := h.eventLog.Bounds(ctx)
	if err != nil {
		return err
	}
	if !known || log.Name != name || log.Head < tip {
		if err := h.reload(ctx, log); err != nil {
			return err
		}
		_, _, tip = h.position()
	}
	for {
		missed, err := h.eventLog.After(ctx, tip, readBatch)
		if err != nil {
			return err
		}
		if len(missed) > 0 {
			h.mu.Lock()
			h.append(missed...)
			h.mu.Unlock()
			h.gaps.Add(float64(len(missed)))
			tip = missed[len(missed)-1].Seq
		}
		if len(missed) < readBatch {
			return nil
		}
	}
}

// position returns how far the ring reaches, and in which log.
func (h *Hub) position() (known bool, name string, tip int64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.loaded, h.logName, h.ring.newest
}

// reload fills the ring from the log: those who resume after a rolling restart are
// behind by what happened meanwhile, and would each read it by themselves. Whoever
// watches what is no longer there, because the database was made anew or restored, is
// sent away.
func (h *Hub) reload(ctx context.Context, log task.EventLogRange) error {
	newest := ring{newest: max(log.PurgedThrough, log.Head-ringSize)}
	for newest.newest < log.Head {
		next, err := h.eventLog.After(ctx, newest.newest, readBatch)
		if err != nil {
			return err
		}
		if len(next) == 0 { // all was purged since
			newest = ring{newest: log.Head}
		}
		for _, a := range next {
			newest.add(a)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.loaded {
		h.log.WarnContext(ctx, "the log is another one, or has lost its end: watchers have to begin anew", "head", log.Head, "was", h.ring.newest)
		close(h.logReset)
		h.logReset = make(chan struct{})
	}
	h.loaded, h.logName, h.ring = true, log.Name, newest
	h.broadcast() // those who resumed before this
	return nil
}

// resetSignal returns what is closed when the log is no longer what it is now.
func (h *Hub) resetSignal() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.logReset
}

// append adds to the ring and wakes the watchers. The caller holds mu.
func (h *Hub) append(next ...task.Announcement) {
	for _, a := range next {
		h.ring.add(a)
	}
	h.broadcast()
}

// broadcast lets all watchers look at the ring. The caller holds mu.
func (h *Hub) broadcast() {
	close(h.ringChanged)
	h.ringChanged = make(chan struct{})
}

// readRing returns what the ring has for a watcher at seq: the next announcements,
// or that it is behind, or else a channel that tells of more.
func (h *Hub) readRing(seq int64, limit int) (next []task.Announcement, behind bool, more <-chan struct{}) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.loaded {
		next, behind = h.ring.after(seq, limit)
	}
	return next, behind, h.ringChanged
}
