package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/todo-service/internal/outbox"
	"example.com/todo/todo-service/internal/task"
)

var errAway = errors.New("away")

// world is a relay with everything around it.
type world struct {
	log      *fakeLog
	kafka    *fakeSender
	live     *fakeSender
	topic    topic
	said     bytes.Buffer
	registry *prometheus.Registry
	relay    *outbox.Relay

	stop context.CancelFunc
	done chan error
}

// start runs a relay in a synctest bubble until the test ends.
func start(t *testing.T, prepare func(*world)) *world {
	t.Helper()
	w := &world{
		log: &fakeLog{cursors: map[string]int{}}, kafka: &fakeSender{}, live: &fakeSender{},
		registry: prometheus.NewRegistry(), done: make(chan error, 1),
	}
	prepare(w)
	w.relay = outbox.NewRelay(outbox.Config{
		EventLog: w.log, Kafka: w.kafka, Live: w.live,
		CheckTopic: w.topic.check,
		Log:        slog.New(slog.NewTextHandler(&w.said, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
		Metrics:    w.registry,
	})
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	go func() { w.done <- w.relay.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		synctest.Wait()
	})
	synctest.Wait()
	return w
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// commit adds entries to the log.
func (w *world) commit(n int) { w.log.commit(n) }

func (w *world) wantSent(t *testing.T, to *fakeSender, n int) {
	t.Helper()
	synctest.Wait()
	want := []int64{}
	for i := range n {
		want = append(want, int64(i+1))
	}
	if diff := cmp.Diff(want, to.sent()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// wantEnded checks that Run returned nil within the given time of being told to.
func (w *world) wantEnded(t *testing.T, within time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case err := <-w.done:
		if err != nil {
			t.Errorf("the relay ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the relay does not stop")
	}
	if took := time.Since(begin); took > within {
		t.Errorf("stopping took %v, want at most %v", took, within)
	}
}

// topic answers the question for it: each answer once, but the last for ever.
type topic struct {
	mu      sync.Mutex
	answers []error
}

func (c *topic) answer(answers ...error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = answers
}

func (c *topic) check(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) == 0 {
		return nil
	}
	answer := c.answers[0]
	if len(c.answers) > 1 {
		c.answers = c.answers[1:]
	}
	return answer
}

// fakeLog keeps entries in memory.
type fakeLog struct {
	mu      sync.Mutex
	entries []task.Announcement
	cursors map[string]int
	err     error // what every pass meets
	silent  silence
	takes   func(entries int) time.Duration // until there is a batch; nil for no time
	numbers int                             // how often it was told to number
}

// silence is when a log that does not answer any more falls silent.
type silence int

const (
	never silence = iota
	beforeABatch
	afterABatch
)

func (l *fakeLog) fall(silent silence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = silent
}

// answer waits for ctx where the log is silent by then.
func (l *fakeLog) answer(ctx context.Context, by silence) error {
	l.mu.Lock()
	silent := l.silent != never && l.silent <= by
	l.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l *fakeLog) commit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		seq := int64(len(l.entries) + 1)
		l.entries = append(l.entries, task.Announcement{Seq: seq, Event: task.Event{ID: fmt.Sprint(seq), At: time.Now()}})
	}
}

func (l *fakeLog) place(cursor string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursors[cursor]
}

func (l *fakeLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeLog) Drain(ctx context.Context, cursor string, limit int, send func(context.Context, []task.Announcement) error) (int, error) {
	if err := l.answer(ctx, beforeABatch); err != nil {
		return 0, err
	}
	l.mu.Lock()
	from, err := l.cursors[cursor], l.err
	batch := l.entries[from:min(from+limit, len(l.entries))]
	l.mu.Unlock()
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	if l.takes != nil {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(l.takes(len(batch))):
		}
	}
	if err := send(ctx, batch); err != nil {
		return 0, err
	}
	if err := l.answer(ctx, afterABatch); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[cursor] += len(batch)
	return len(batch), nil
}

func (l *fakeLog) Number(_ context.Context, limit int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit > 0 {
		l.numbers++
	}
	return l.err
}

func (l *fakeLog) numbered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.numbers
}

func (l *fakeLog) Backlog(ctx context.Context, cursor string) (int64, time.Time, error) {
	if err := l.answer(ctx, afterABatch); err != nil {
		return 0, time.Time{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.cursors[cursor]
	if from == len(l.entries) {
		return 0, time.Time{}, l.err
	}
	return int64(len(l.entries) - from), l.entries[from].Event.At, l.err
}

// fakeSender remembers what it sent. It does what meets says before that.
type fakeSender struct {
	mu      sync.Mutex
	batches [][]int64
	tries   int
	meet    func(ctx context.Context) error
	refuse  func(ctx context.Context, entries int) error
}

func (s *fakeSender) refuses(refuse func(ctx context.Context, entries int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *fakeSender) meets(meet func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meet = meet
}

func (s *fakeSender) Send(ctx context.Context, batch []task.Announcement) error {
	s.mu.Lock()
	s.tries++
	meet, refuse := s.meet, s.refuse
	s.mu.Unlock()
	if refuse != nil {
		if err := refuse(ctx, len(batch)); err != nil {
			return err
		}
	}
	if meet != nil {
		if err := meet(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seqs := []int64{}
	for _, a := range batch {
		seqs = append(seqs, a.Seq)
	}
	s.batches = append(s.batches, seqs)
	return nil
}

func (s *fakeSender) sent() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seqs := []int64{}
	for _, batch := range s.batches {
		seqs = append(seqs, batch...)
	}
	return seqs
}
