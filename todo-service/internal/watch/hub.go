package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/task"
)

const (
	pollInterval    = time.Second     // between two catch-ups without a request: how late a change may be while the feed is away
	eventLogTimeout = 5 * time.Second // of one catch-up, or of one read by a watcher
	readBatch       = 256             // announcements that the follower reads from the event log at once
)

// subscribeBackoff waits at most 2 s, jitter included, so that an outage of the feed
// ends for watchers soon after it ends for Redis.
var subscribeBackoff = retry.Backoff{Min: 200 * time.Millisecond, Max: 1300 * time.Millisecond}

// EventLog reads the durable log of announcements. Once a reader or the feed has
// shown a seq, that seq belongs to the same announcement for ever.
type EventLog interface {
	// After returns the announcements of all owners that follow seq, in order and
	// without gaps, at most limit.
	After(ctx context.Context, seq int64, limit int) ([]task.Announcement, error)
	// AfterOf returns the announcements of one owner that follow seq, in order, at most
	// limit, and the last seq that was purged then or before: announcements up to that one
	// may be missing.
	AfterOf(ctx context.Context, owner task.Owner, seq int64, limit int) (next []task.Announcement, purgedThrough int64, err error)
	// Bounds returns the name of the log and the range of seq that it holds.
	Bounds(ctx context.Context) (task.EventLogRange, error)
}

// Feed delivers announcements as they are made. It may lose, repeat and reorder
// them, and deliver announcements of other logs.
type Feed interface {
	// Subscribe calls onEvent for each announcement until ctx ends (nil) or the feed
	// fails (an error). It calls onGap once the subscription stands, and whenever
	// announcements may have been lost. Both are called from the caller's goroutine.
	Subscribe(ctx context.Context, onGap func(), onEvent func(task.Announcement)) error
}

// Hub follows the event log for all watchers of the process. Its methods may be
// called by several goroutines.
type Hub struct {
	feed     Feed
	eventLog EventLog
	log      *slog.Logger

	catchUpRequest chan struct{} // makes the follower read the event log; holds one request
	stopped        chan struct{} // closed when Run returns

	mu       sync.RWMutex
	loaded   bool   // the ring was loaded from the event log; before that it has only watchers
	logName  string // of the log that the ring was loaded from
	ring     ring
	logReset chan struct{} // closed and replaced when the log was replaced, or has lost its end

	gaps prometheus.Counter
}

// NewHub returns a hub over feed and eventLog. It serves watchers while Run runs.
func NewHub(feed Feed, eventLog EventLog, log *slog.Logger, reg prometheus.Registerer) *Hub {
	metrics := promauto.With(reg)
	return &Hub{
		feed:           feed,
		eventLog:       eventLog,
		log:            log,
		catchUpRequest: make(chan struct{}, 1),
		stopped:        make(chan struct{}),
		ring:           newRing(0),
		logReset:       make(chan struct{}),
		gaps: metrics.NewCounter(prometheus.CounterOpts{
			Name: "todo_watch_gaps_total",
			Help: "Announcements that came from the log because the live feed did not bring them in order.",
		}),
	}
}

// Run follows the event log until ctx ends, and returns nil. All watches then end
// with apperr.Unavailable. Feed and log may be unavailable at any time: the hub
// delivers what it missed once they are back.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.stopped)
	var loops sync.WaitGroup
	loops.Go(func() { h.subscribe(ctx) })
	loops.Go(func() { h.follow(ctx) })
	loops.Wait()
	return nil
}

// subscribe renews the subscription until ctx ends.
func (h *Hub) subscribe(ctx context.Context) {
	delays := subscribeBackoff.Delays()
	outage := retry.NewOutage(h.log, "watch hub: the live feed is away, changes come from the event log up to a second late", "watch hub: the live feed is back")
	for {
		err := h.feed.Subscribe(ctx, func() {
			outage.Record(ctx, nil)
			delays.Reset()
			h.requestCatchUp()
		}, h.onFeedEvent)
		if ctx.Err() != nil {
			return
		}
		outage.Record(ctx, err)
		retry.Wait(ctx, delays.NextBackOff())
	}
}

// onFeedEvent appends an announcement of the feed to the ring, or requests a catch-up.
func (h *Hub) onFeedEvent(a task.Announcement) {
	h.mu.Lock()
	ours := h.loaded && a.Log == h.logName
	// Only the next seq is certain to leave no gap. An announcement without a log
	// name comes from an older replica, and may be of another log.
	next := ours && a.Seq == h.ring.newest+1
	gap := !h.loaded || a.Log == "" || ours && a.Seq > h.ring.newest+1
	if next {
		h.ring.add(a)
	}
	h.mu.Unlock()
	if gap {
		h.requestCatchUp()
	}
}

func (h *Hub) requestCatchUp() {
	select {
	case h.catchUpRequest <- struct{}{}:
	default: // a pending request covers this one: its catch-up has yet to read the log
	}
}

// follow catches up on each request, and once a second without one, until ctx ends.
func (h *Hub) follow(ctx context.Context) {
	outage := retry.NewOutage(h.log, "watch hub: reading the event log failed, watchers wait", "watch hub: the event log can be read again")
	for {
		err := h.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		outage.Record(ctx, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollInterval):
		case <-h.catchUpRequest:
		}
	}
}

// catchUp brings the ring to the head of the event log.
func (h *Hub) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, eventLogTimeout)
	defer cancel()
	loaded, logName, newest := h.position()
	bounds, err := h.eventLog.Bounds(ctx)
	if err != nil {
		return err
	}
	if !loaded || bounds.Name != logName || bounds.Head < newest {
		if err := h.reload(ctx, bounds); err != nil {
			return err
		}
	}
	for {
		_, _, newest := h.position()
		missed, err := h.eventLog.After(ctx, newest, readBatch)
		if err != nil {
			return err
		}
		if len(missed) > 0 {
			h.mu.Lock()
			for _, a := range missed {
				h.ring.add(a)
			}
			h.mu.Unlock()
			h.gaps.Add(float64(len(missed)))
		}
		if len(missed) < readBatch {
			return nil
		}
	}
}

// position returns the log that the ring was loaded from, and its newest seq.
func (h *Hub) position() (loaded bool, logName string, newest int64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.loaded, h.logName, h.ring.newest
}

// reload replaces the ring by the newest announcements of the event log, and ends all
// watches of the log that was there before.
func (h *Hub) reload(ctx context.Context, bounds task.EventLogRange) error {
	// After a rolling restart all watchers resume a little behind the head. The full
	// ring serves them; otherwise each of them would read the event log.
	newest := newRing(max(bounds.PurgedThrough, bounds.Head-ringSize))
	for newest.newest < bounds.Head {
		next, err := h.eventLog.After(ctx, newest.newest, readBatch)
		if err != nil {
			return err
		}
		if len(next) == 0 { // all were purged meanwhile
			newest = newRing(bounds.Head)
		}
		for _, a := range next {
			newest.add(a)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.loaded {
		h.log.WarnContext(ctx, "watch hub: the event log was replaced or has lost its end, all watches end", "head", bounds.Head, "previous_head", h.ring.newest)
		close(h.logReset)
		h.logReset = make(chan struct{})
	}
	watched := h.ring.owners
	h.loaded, h.logName, h.ring = true, bounds.Name, newest
	for owner, before := range watched {
		if before.watchers > 0 {
			part := h.ring.of(owner)
			part.watchers, part.changed = before.watchers, before.changed
			part.wake() // watchers that came before the ring was loaded
		}
	}
	return nil
}

// join adds a watcher of the owner, for which the ring wakes it and tells it how far it
// has nothing for it. It returns the function that removes the watcher.
func (h *Hub) join(owner task.Owner) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := h.ring.of(owner)
	if part.watchers == 0 {
		part.changed = make(chan struct{})
	}
	part.watchers++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ring.of(owner).watchers--
		h.ring.forgetUnused(owner)
	}
}

// ringRead is what the ring has for a watcher.
type ringRead struct {
	next    []task.Announcement
	behind  bool            // the ring does not reach back to the watcher
	through int64           // the owner has no announcement after those of next, up to this seq
	begin   int64           // the ring has all announcements of the owner after this seq
	changed <-chan struct{} // closed when there is more
}

// readRing returns at most limit announcements of the owner after seq. The owner has a
// watcher.
func (h *Hub) readRing(owner task.Owner, seq int64, limit int) ringRead {
	h.mu.RLock()
	defer h.mu.RUnlock()
	part := h.ring.owners[owner]
	read := ringRead{through: seq, begin: part.begin, changed: part.changed}
	if !h.loaded {
		return read
	}
	read.next, read.behind = part.after(seq, limit)
	if len(read.next) == 0 && !read.behind {
		read.through = max(seq, h.ring.newest)
	}
	return read
}
