package redisstore_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// memoryLog is the event log: announcement n is at index n-1.
type memoryLog struct {
	mu  sync.Mutex
	all []task.Announcement
}

func (l *memoryLog) append() task.Announcement {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq, at := int64(len(l.all)+1), time.Now().UTC()
	a := task.Announcement{Log: "ours", Seq: seq, Event: task.Event{ID: strconv.FormatInt(seq, 10), Type: task.Updated, At: at,
		Task: task.Task{ID: 1, Title: "t", CreatedAt: at, Version: seq}}}
	l.all = append(l.all, a)
	return a
}

func (l *memoryLog) After(_ context.Context, seq int64, limit int) ([]task.Announcement, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.all[seq:]
	return next[:min(limit, len(next))], nil
}

func (l *memoryLog) AfterOf(ctx context.Context, _ task.Owner, seq int64, limit int) ([]task.Announcement, int64, error) {
	next, err := l.After(ctx, seq, limit)
	return next, 0, err
}

func (l *memoryLog) Bounds(context.Context) (task.EventLogRange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return task.EventLogRange{Name: "ours", Head: int64(len(l.all))}, nil
}

func TestWatchersMissNothingWhileRedisClosesTheirSubscription(t *testing.T) {
	t.Parallel()
	const watchers, changes, cuts = 10, 2_000, 10
	s := openRedis(t)
	feed := redisstore.NewFeed(s, s.prefix)
	log := &memoryLog{}
	hub := watch.NewHub(feed, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())

	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all.Go(func() { _ = hub.Run(ctx) })

	var following sync.WaitGroup
	for range watchers {
		events, err := hub.Watch(ctx, task.NoOwner, "")
		if err != nil {
			t.Fatal(err)
		}
		following.Go(func() {
			var last int64
			for a, err := range events {
				if a.Bookmark() && err == nil {
					continue
				}
				if err != nil || a.Seq != last+1 {
					t.Errorf("after %d came %d, %v", last, a.Seq, err)
					return
				}
				if last = a.Seq; last == changes {
					return
				}
			}
		})
	}
	for i := range changes {
		if i%(changes/cuts) == 0 {
			channel := s.prefix + "task-events"
			testenv.Eventually(t, "the hub subscribes", func() bool { return s.PubSubNumSub(ctx, channel).Val()[channel] == 1 })
			closeSubscriptions(t, s)
		}
		// An error loses nothing: the feed is a hint.
		_ = feed.Publish(ctx, []task.Announcement{log.append()})
	}
	following.Wait()
}
