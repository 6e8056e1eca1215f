package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// seqsOf returns the seqs of the owner's announcements after that one.
func (s *hubFixture) seqsOf(owner task.Owner, after int64) (seqs []int64) {
	for _, a := range s.eventLog.announcements {
		if a.Event.Owner == owner && a.Seq > after {
			seqs = append(seqs, a.Seq)
		}
	}
	return seqs
}

// Owners make changes in turn or in bursts. The feed loses some, so that the ring is also
// filled from the event log; slow and resuming watchers read the log themselves.
func TestEachWatcherGetsTheChangesOfItsOwnerAlone(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		owners := []task.Owner{task.NoOwner, 1, 2, 3}
		type watching struct {
			*watcher
			owner task.Owner
			after int64
		}
		var all []watching
		watchFrom := func(token string, after int64, before func() error) {
			for _, owner := range owners {
				all = append(all, watching{s.startWatcherOf(owner, token, before), owner, after})
			}
		}
		slowly := func() error { <-time.After(rand.N(3 * time.Millisecond)); return nil }
		watchFrom("", 0, nil)
		watchFrom("", 0, slowly)
		for i := range 6_000 {
			a := s.eventLog.append(owners[rand.N(1+i/1000)%len(owners)])
			if rand.N(10) > 0 {
				s.feed.send(a)
			}
			if rand.N(100) == 0 {
				advance(rand.N(20 * time.Millisecond))
			}
			if i%2000 == 1000 {
				synctest.Wait()
				watchFrom(strconv.Itoa(i), int64(i), nil)
				watchFrom("3", 3, slowly)
			}
		}
		advance(time.Minute)
		for _, w := range all {
			if diff := cmp.Diff(s.seqsOf(w.owner, w.after), w.received()); diff != "" {
				s.t.Errorf("owner %d after %d (-want +got):\n%s", w.owner, w.after, diff)
			}
		}
	})
}

// Its position advances with the changes of others. So it needs no event log, although the
// ring is filled many times, and its client resumes close to the end.
func TestTheWatcherOfAnIdleOwnerStaysInTheRing(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		idle := s.startWatcherOf(1, "", nil)
		s.expectNoLogReads(func() {
			for range 3 {
				s.commitOf(2, 3_000)
				synctest.Wait()
				s.commitOf(1, 1)
				synctest.Wait()
			}
		})
		if diff := cmp.Diff([]int64{3_001, 6_002, 9_003}, idle.received()); diff != "" {
			s.t.Errorf("seqs (-want +got):\n%s", diff)
		}
		s.commitOf(2, 3_000)
		advance(11 * time.Second)
		if got := idle.bookmarks(); got[len(got)-1] != 12_003 {
			s.t.Errorf("the last bookmark is %d", got[len(got)-1])
		}
	})
}

func TestTokensAreCheckedAlikeForEveryOwner(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.commitOf(1, 3_000) // more than the ring has
		s.commitOf(2, 1)
		synctest.Wait()
		var pastTheLog []string
		for _, owner := range []task.Owner{task.NoOwner, 1, 2, 3} {
			_, err := s.hub.Watch(s.t.Context(), owner, "3002")
			expectKind(s.t, err, apperr.Gone)
			pastTheLog = append(pastTheLog, fmt.Sprint(err))

			w := s.startWatcherOf(owner, "2", nil)
			if diff := cmp.Diff(s.seqsOf(owner, 2), w.received()); diff != "" {
				s.t.Errorf("owner %d after another's token (-want +got):\n%s", owner, diff)
			}
		}
		if len(slices.Compact(pastTheLog)) != 1 {
			s.t.Errorf("a token past the log: %q", pastTheLog)
		}

		s.eventLog.set(func(l *fakeEventLog) { l.purgeAfterBounds = 3 })
		behind := s.startWatcherOf(2, "2", nil) // the purged ones are another's
		expectKind(s.t, <-behind.ended, apperr.Gone)
	})
}

func TestHubForgetsOwnersWithoutWatchersAndRecentChanges(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		for owner := range task.Owner(4_000) {
			w := s.startWatcherOf(owner, "", nil)
			s.commitOf(owner, 1)
			synctest.Wait()
			w.cancel()
		}
		synctest.Wait()
		if n := watch.Owners(s.hub); n > 2_048 {
			s.t.Errorf("the hub keeps %d owners", n)
		}
	})
}

// The time that one change takes to the 10 watchers of its owner must not grow with the
// watchers of others.
func BenchmarkAChangeReachesItsWatchers(b *testing.B) {
	for _, test := range []struct{ owners, each int }{{1, 10}, {1_000, 10}, {1, 10_000}} {
		b.Run(fmt.Sprintf("owners=%d/watchers=%d", test.owners, test.each), func(b *testing.B) {
			log, feed := &fakeEventLog{name: "ours"}, &lossyFeed{}
			hub := watch.NewHub(feed, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			ctx, cancel := context.WithCancel(b.Context())
			var running, reached sync.WaitGroup
			running.Go(func() { _ = hub.Run(ctx) })
			for i := range test.owners * test.each {
				changes, err := hub.Watch(ctx, task.Owner(1+i%test.owners), "")
				if err != nil {
					b.Fatal(err)
				}
				running.Go(func() {
					for a, err := range changes {
						if err == nil && !a.Bookmark() {
							reached.Done()
						}
					}
				})
			}
			for b.Loop() {
				reached.Add(test.each)
				feed.send(log.append(1))
				reached.Wait()
			}
			cancel()
			running.Wait()
		})
	}
}
