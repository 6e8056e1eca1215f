package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// manyWatchers is the number of watchers in a test of load.
const manyWatchers = 200

var errUnavailable = errors.New("away")

// fakeEventLog is a watch.EventLog in memory: seq n is at index n-1.
type fakeEventLog struct {
	mu            sync.Mutex
	name          string
	announcements []task.Announcement
	purged        int64
	unavailable   bool
	frozen        bool          // returns only when its context ends
	maxDelay      time.Duration // between reading and returning, at random
	reads         int

	purgeAfterBounds int64 // purged right after the next call of Bounds
}

func (l *fakeEventLog) append(owner task.Owner) task.Announcement {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := int64(len(l.announcements) + 1)
	a := task.Announcement{Log: l.name, Seq: seq, Event: task.Event{ID: "event " + strconv.FormatInt(seq, 10), Type: task.Updated, Owner: owner}}
	l.announcements = append(l.announcements, a)
	return a
}

func (l *fakeEventLog) After(_ context.Context, seq int64, limit int) ([]task.Announcement, error) {
	next, _, err := l.read(seq, limit, func(task.Announcement) bool { return true })
	return next, err
}

func (l *fakeEventLog) AfterOf(_ context.Context, owner task.Owner, seq int64, limit int) ([]task.Announcement, int64, error) {
	return l.read(seq, limit, func(a task.Announcement) bool { return a.Event.Owner == owner })
}

func (l *fakeEventLog) read(seq int64, limit int, selected func(task.Announcement) bool) (next []task.Announcement, purged int64, err error) {
	l.mu.Lock()
	l.reads++
	away, slow, purged := l.unavailable, l.maxDelay, l.purged
	for _, a := range l.announcements[min(max(seq, l.purged), int64(len(l.announcements))):] {
		if len(next) < limit && selected(a) {
			next = append(next, a)
		}
	}
	l.mu.Unlock()
	if away {
		return nil, 0, errUnavailable
	}
	if slow > 0 {
		<-time.After(rand.N(slow))
	}
	return next, purged, nil
}

func (l *fakeEventLog) Bounds(ctx context.Context) (task.EventLogRange, error) {
	if l.frozen {
		<-ctx.Done()
		return task.EventLogRange{}, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unavailable {
		return task.EventLogRange{}, errUnavailable
	}
	before := l.purged
	l.purged = max(before, l.purgeAfterBounds)
	return task.EventLogRange{Name: l.name, PurgedThrough: before, Head: int64(len(l.announcements))}, nil
}

func (l *fakeEventLog) set(change func(*fakeEventLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// lossyFeed delivers messages from send to its one subscriber. cut ends the
// subscription; messages before the next one are lost.
type lossyFeed struct {
	mu                  sync.Mutex
	subscriber          *subscriber
	subscribeCalls      int
	refuseSubscriptions bool
}

type subscriber struct {
	messages chan func(onEvent func(task.Announcement))
	cut      chan struct{}
}

func (f *lossyFeed) Subscribe(ctx context.Context, onGap func(), onEvent func(task.Announcement)) error {
	s := &subscriber{messages: make(chan func(func(task.Announcement)), 10_000), cut: make(chan struct{})}
	f.mu.Lock()
	f.subscribeCalls++
	if f.refuseSubscriptions {
		f.mu.Unlock()
		return errUnavailable
	}
	f.subscriber = s
	f.mu.Unlock()
	onGap()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.cut:
			return errUnavailable
		case message := <-s.messages:
			message(onEvent)
		}
	}
}

func (f *lossyFeed) send(a task.Announcement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscriber != nil {
		f.subscriber.messages <- func(onEvent func(task.Announcement)) { onEvent(a) }
	}
}

func (f *lossyFeed) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscriber != nil {
		close(f.subscriber.cut)
		f.subscriber = nil
	}
}

func (f *lossyFeed) set(change func(*lossyFeed)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// hubFixture is a running hub in a synctest bubble.
type hubFixture struct {
	t        *testing.T
	eventLog *fakeEventLog
	feed     *lossyFeed
	hub      *watch.Hub
	metrics  *prometheus.Registry
	stop     func() // stops the hub and waits for its end
}

func withHub(t *testing.T, test func(*hubFixture)) {
	t.Helper()
	withHubOver(t, &fakeEventLog{name: "ours"}, test)
}

// withHubOver is withHub with an event log that the caller has filled.
func withHubOver(t *testing.T, log *fakeEventLog, test func(*hubFixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &hubFixture{t: t, eventLog: log, feed: &lossyFeed{}, metrics: prometheus.NewRegistry()}
		s.hub = watch.NewHub(s.feed, s.eventLog, slog.New(slog.DiscardHandler), s.metrics)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.hub.Run(ctx) }()
		stopped := sync.OnceFunc(func() {
			cancel()
			if err := <-ran; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
		s.stop = stopped
		defer stopped()
		synctest.Wait()
		test(s)
	})
}

// commit appends n announcements to the event log and sends each over the feed.
func (s *hubFixture) commit(n int) { s.commitOf(task.NoOwner, n) }

func (s *hubFixture) commitOf(owner task.Owner, n int) {
	for range n {
		s.feed.send(s.eventLog.append(owner))
	}
}

// expectNoLogReads wants no read of the event log while act runs.
func (s *hubFixture) expectNoLogReads(act func()) {
	s.t.Helper()
	s.eventLog.set(func(l *fakeEventLog) { l.reads = 0 })
	act()
	s.eventLog.set(func(l *fakeEventLog) {
		if l.reads != 0 {
			s.t.Errorf("the event log was read %d times", l.reads)
		}
	})
}

// watcher records what one watch yields.
type watcher struct {
	mu           sync.Mutex
	seqs         []int64
	bookmarkSeqs []int64 // of the bookmarks
	cancel       context.CancelFunc
	ended        chan error
}

// startWatcher starts a watch. before, unless nil, is called for each announcement
// before it is recorded; its error ends the watch.
func (s *hubFixture) startWatcher(token string, before func() error) *watcher {
	return s.startWatcherOf(task.NoOwner, token, before)
}

func (s *hubFixture) startWatcherOf(owner task.Owner, token string, before func() error) *watcher {
	ctx, cancel := context.WithCancel(s.t.Context())
	w := &watcher{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		w.ended <- w.consume(ctx, s.hub, owner, token, before)
	}()
	synctest.Wait()
	return w
}

func (w *watcher) consume(ctx context.Context, hub *watch.Hub, owner task.Owner, token string, before func() error) error {
	changes, err := hub.Watch(ctx, owner, token)
	if err != nil {
		return err
	}
	for a, err := range changes {
		if err != nil {
			return err
		}
		if a.Bookmark() {
			w.mu.Lock()
			w.bookmarkSeqs = append(w.bookmarkSeqs, a.Seq)
			w.mu.Unlock()
			continue
		}
		if before != nil {
			if err := before(); err != nil {
				return err
			}
		}
		w.mu.Lock()
		w.seqs = append(w.seqs, a.Seq)
		w.mu.Unlock()
	}
	return nil
}

func (w *watcher) received() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int64(nil), w.seqs...)
}

func (w *watcher) bookmarks() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int64(nil), w.bookmarkSeqs...)
}

func (s *hubFixture) expectSeqs(w *watcher, first, last int64) {
	s.t.Helper()
	var want []int64
	for seq := first; seq <= last; seq++ {
		want = append(want, seq)
	}
	if diff := cmp.Diff(want, w.received()); diff != "" {
		s.t.Errorf("seqs (-want +got):\n%s", diff)
	}
}

func (s *hubFixture) expectGaps(n int) {
	s.t.Helper()
	want := fmt.Sprintf("# HELP todo_watch_gaps_total Announcements that came from the log because the live feed did not bring them in order.\n"+
		"# TYPE todo_watch_gaps_total counter\ntodo_watch_gaps_total %d\n", n)
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "todo_watch_gaps_total"); err != nil {
		s.t.Error(err)
	}
}

// advance lets time pass and all goroutines of the bubble settle.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func expectKind(t *testing.T, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		t.Errorf("got %v, want an error of kind %d", err, want)
	}
}
