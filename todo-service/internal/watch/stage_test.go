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

// manyWatchers is how many a test has that wants many.
const manyWatchers = 200

var errAway = errors.New("away")

// memoryLog is the record: announcement n stands at index n-1.
type memoryLog struct {
	mu     sync.Mutex
	name   string
	all    []task.Announcement
	purged int64
	away   bool
	slow   time.Duration // at most, between reading and answering
	reads  int

	overtaken int64 // what is purged as soon as the bounds have been told
}

func (l *memoryLog) append() task.Announcement {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := int64(len(l.all) + 1)
	a := task.Announcement{Log: l.name, Seq: seq, Event: task.Event{ID: "event " + strconv.FormatInt(seq, 10), Type: task.Updated}}
	l.all = append(l.all, a)
	return a
}

func (l *memoryLog) After(_ context.Context, seq int64, limit int) ([]task.Announcement, error) {
	l.mu.Lock()
	l.reads++
	away, slow := l.away, l.slow
	next := l.all[min(max(seq, l.purged), int64(len(l.all))):]
	next = next[:min(limit, len(next))]
	l.mu.Unlock()
	if away {
		return nil, errAway
	}
	if slow > 0 {
		<-time.After(rand.N(slow))
	}
	return next, nil
}

func (l *memoryLog) Bounds(context.Context) (task.EventLogRange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return task.EventLogRange{}, errAway
	}
	told := l.purged
	l.purged = max(told, l.overtaken)
	return task.EventLogRange{Name: l.name, PurgedThrough: told, Head: int64(len(l.all))}, nil
}

func (l *memoryLog) set(change func(*memoryLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// lossyFeed carries messages from send to its one subscriber. A cut ends the
// subscription, and what is sent before the next one is lost.
type lossyFeed struct {
	mu         sync.Mutex
	subscriber *subscriber
	subscribed int
	refuse     bool
}

type subscriber struct {
	messages chan func(doubt func(), deliver func(task.Announcement))
	cut      chan struct{}
}

func (f *lossyFeed) Subscribe(ctx context.Context, doubt func(), deliver func(task.Announcement)) error {
	s := &subscriber{messages: make(chan func(func(), func(task.Announcement)), 10_000), cut: make(chan struct{})}
	f.mu.Lock()
	f.subscribed++
	if f.refuse {
		f.mu.Unlock()
		return errAway
	}
	f.subscriber = s
	f.mu.Unlock()
	doubt()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.cut:
			return errAway
		case message := <-s.messages:
			message(doubt, deliver)
		}
	}
}

func (f *lossyFeed) send(a task.Announcement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscriber != nil {
		f.subscriber.messages <- func(_ func(), deliver func(task.Announcement)) { deliver(a) }
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

// stage is a running hub in a bubble of its own time.
type stage struct {
	t       *testing.T
	log     *memoryLog
	feed    *lossyFeed
	hub     *watch.Hub
	metrics *prometheus.Registry
	stop    func() // and wait until it has stopped
}

func onStage(t *testing.T, act func(*stage)) {
	t.Helper()
	onStageWith(t, &memoryLog{name: "ours"}, act)
}

// onStageWith is onStage where something was in the log before the hub began.
func onStageWith(t *testing.T, log *memoryLog, act func(*stage)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, log: log, feed: &lossyFeed{}, metrics: prometheus.NewRegistry()}
		s.hub = watch.NewHub(s.feed, s.log, slog.New(slog.DiscardHandler), s.metrics)
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
		act(s)
	})
}

// change makes n changes and announces each.
func (s *stage) change(n int) {
	for range n {
		s.feed.send(s.log.append())
	}
}

// sparingTheLog wants no announcement to be read from the log while act runs.
func (s *stage) sparingTheLog(act func()) {
	s.t.Helper()
	s.log.set(func(l *memoryLog) { l.reads = 0 })
	act()
	s.log.set(func(l *memoryLog) {
		if l.reads != 0 {
			s.t.Errorf("the log was read %d times", l.reads)
		}
	})
}

// watcher records what one watch delivers.
type watcher struct {
	mu     sync.Mutex
	seqs   []int64
	places []int64 // of the bookmarks
	cancel context.CancelFunc
	ended  chan error
}

// watch starts a watch; before, unless nil, is called before each delivery.
func (s *stage) watch(token string, before func() error) *watcher {
	ctx, cancel := context.WithCancel(s.t.Context())
	w := &watcher{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		w.ended <- w.follow(ctx, s.hub, token, before)
	}()
	synctest.Wait()
	return w
}

func (w *watcher) follow(ctx context.Context, hub *watch.Hub, token string, before func() error) error {
	changes, err := hub.Watch(ctx, token)
	if err != nil {
		return err
	}
	for a, err := range changes {
		if err != nil {
			return err
		}
		if a.Bookmark() {
			w.mu.Lock()
			w.places = append(w.places, a.Seq)
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

func (w *watcher) got() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int64(nil), w.seqs...)
}

func (w *watcher) bookmarks() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int64(nil), w.places...)
}

func (s *stage) expect(w *watcher, first, last int64) {
	s.t.Helper()
	var want []int64
	for seq := first; seq <= last; seq++ {
		want = append(want, seq)
	}
	if diff := cmp.Diff(want, w.got()); diff != "" {
		s.t.Errorf("delivered seqs (-want +got):\n%s", diff)
	}
}

func (s *stage) expectGaps(n int) {
	s.t.Helper()
	want := fmt.Sprintf("# HELP todo_watch_gaps_total Announcements that came from the log because the live feed did not bring them in order.\n"+
		"# TYPE todo_watch_gaps_total counter\ntodo_watch_gaps_total %d\n", n)
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "todo_watch_gaps_total"); err != nil {
		s.t.Error(err)
	}
}

// later lets time pass for everyone.
func later(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func expectKind(t *testing.T, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		t.Errorf("got %v, want a refusal of kind %d", err, want)
	}
}
