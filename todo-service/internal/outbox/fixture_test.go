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

var errUnavailable = errors.New("away")

// relayFixture is a relay with fakes of its event log and its senders.
type relayFixture struct {
	eventLog   *fakeEventLog
	kafka      *fakeSender
	live       *fakeSender
	topicCheck fakeTopicCheck
	logs       bytes.Buffer
	registry   *prometheus.Registry
	relay      *outbox.Relay

	stop context.CancelFunc
	done chan error
}

// startRelay runs a relay in a synctest bubble until the test ends. prepare runs before.
func startRelay(t *testing.T, prepare func(*relayFixture)) *relayFixture {
	t.Helper()
	w := &relayFixture{
		eventLog: &fakeEventLog{cursors: map[string]int{}}, kafka: &fakeSender{}, live: &fakeSender{},
		registry: prometheus.NewRegistry(), done: make(chan error, 1),
	}
	prepare(w)
	w.relay = outbox.NewRelay(outbox.Config{
		EventLog: w.eventLog, Kafka: w.kafka.send, Live: w.live.send,
		CheckTopic: w.topicCheck.check,
		Log:        slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
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

// commit appends n events to the event log.
func (w *relayFixture) commit(n int) { w.eventLog.commit(n) }

func (w *relayFixture) wantSent(t *testing.T, to *fakeSender, n int) {
	t.Helper()
	synctest.Wait()
	want := []int64{}
	for i := range n {
		want = append(want, int64(i+1))
	}
	if diff := cmp.Diff(want, to.sentSeqs()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// wantStopped checks that Run returns nil within the given time from now.
func (w *relayFixture) wantStopped(t *testing.T, within time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case err := <-w.done:
		if err != nil {
			t.Errorf("the relay ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the relay does not stop within a minute")
	}
	if took := time.Since(begin); took > within {
		t.Errorf("stopping took %v, want at most %v", took, within)
	}
}

// fakeTopicCheck returns its results one after the other, and then the last one for ever.
type fakeTopicCheck struct {
	mu      sync.Mutex
	results []error
}

func (c *fakeTopicCheck) returns(results ...error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = results
}

func (c *fakeTopicCheck) check(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.results) == 0 {
		return nil
	}
	result := c.results[0]
	if len(c.results) > 1 {
		c.results = c.results[1:]
	}
	return result
}

// fakeEventLog is an outbox.EventLog in memory.
type fakeEventLog struct {
	mu            sync.Mutex
	entries       []task.Announcement
	cursors       map[string]int
	err           error // returned by every call
	silentFrom    silencePoint
	readTime      func(entries int) time.Duration // until a batch is read; nil for none
	sequenceCalls int                             // calls that assign seqs
}

// silencePoint is from where on in a pass the event log does not respond.
type silencePoint int

const (
	never silencePoint = iota
	beforeBatch
	afterBatch
)

func (l *fakeEventLog) setSilence(silent silencePoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silentFrom = silent
}

// respond waits for ctx if the event log is silent at this point.
func (l *fakeEventLog) respond(ctx context.Context, at silencePoint) error {
	l.mu.Lock()
	silent := l.silentFrom != never && l.silentFrom <= at
	l.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l *fakeEventLog) commit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		seq := int64(len(l.entries) + 1)
		l.entries = append(l.entries, task.Announcement{Seq: seq, Event: task.Event{ID: fmt.Sprint(seq), At: time.Now()}})
	}
}

func (l *fakeEventLog) cursor(cursor string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursors[cursor]
}

func (l *fakeEventLog) setError(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeEventLog) ForwardBatch(ctx context.Context, cursor string, limit int, send func(context.Context, []task.Announcement) error) (int, error) {
	if err := l.respond(ctx, beforeBatch); err != nil {
		return 0, err
	}
	l.mu.Lock()
	from, err := l.cursors[cursor], l.err
	batch := l.entries[from:min(from+limit, len(l.entries))]
	l.mu.Unlock()
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	if l.readTime != nil {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(l.readTime(len(batch))):
		}
	}
	if err := send(ctx, batch); err != nil {
		return 0, err
	}
	if err := l.respond(ctx, afterBatch); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[cursor] += len(batch)
	return len(batch), nil
}

func (l *fakeEventLog) AssignSequence(_ context.Context, limit int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit > 0 {
		l.sequenceCalls++
	}
	return l.err
}

func (l *fakeEventLog) sequenceCallCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sequenceCalls
}

func (l *fakeEventLog) Backlog(ctx context.Context, cursor string) (int64, time.Time, error) {
	if err := l.respond(ctx, afterBatch); err != nil {
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

// fakeSender records its batches. Before that it calls onBatchSize and onSend.
type fakeSender struct {
	mu          sync.Mutex
	batches     [][]int64
	attempts    int
	onSend      func(ctx context.Context) error
	onBatchSize func(ctx context.Context, entries int) error
}

func (s *fakeSender) setOnBatchSize(refuse func(ctx context.Context, entries int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onBatchSize = refuse
}

func (s *fakeSender) setOnSend(meet func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onSend = meet
}

func (s *fakeSender) send(ctx context.Context, batch []task.Announcement) error {
	s.mu.Lock()
	s.attempts++
	meet, refuse := s.onSend, s.onBatchSize
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

func (s *fakeSender) sentSeqs() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seqs := []int64{}
	for _, batch := range s.batches {
		seqs = append(seqs, batch...)
	}
	return seqs
}
