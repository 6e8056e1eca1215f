package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

func TestWatchResumesAfterItsTokenOrReturnsAnError(t *testing.T) {
	t.Parallel()
	const none = apperr.Kind(-1)
	cases := []struct {
		name, token string
		want        apperr.Kind
		first       int64
	}{
		{"empty: from now on", "", none, 11},
		{"the last purged", "4", none, 5},
		{"in the middle", "7", none, 8},
		{"the head", "10", none, 11},
		{"purged", "3", apperr.Gone, 0},
		{"zero, purged", "0", apperr.Gone, 0},
		{"past the head", "11", apperr.Gone, 0},
		{"the largest", "9223372036854775807", apperr.Gone, 0},
		{"too large", "9223372036854775808", apperr.Invalid, 0},
		{"negative", "-1", apperr.Invalid, 0},
		{"signed", "+5", apperr.Invalid, 0},
		{"leading zero", "07", apperr.Invalid, 0},
		{"a blank", " 7", apperr.Invalid, 0},
		{"a word", "seven", apperr.Invalid, 0},
		{"another base", "0x7", apperr.Invalid, 0},
		{"other digits", "٧", apperr.Invalid, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			withHub(t, func(s *hubFixture) {
				s.commit(10)
				synctest.Wait()
				s.eventLog.set(func(l *fakeEventLog) { l.purged = 4 })
				w := s.startWatcher(c.token, nil)
				if c.want != none {
					err := <-w.ended
					expectKind(t, err, c.want)
					if c.want == apperr.Invalid {
						want := []apperr.Field{{Name: "resume_token", Problem: "must be the token of an event, or empty"}}
						if diff := cmp.Diff(want, apperr.Of(err).Fields); diff != "" {
							t.Errorf("fields (-want +got):\n%s", diff)
						}
					}
					return
				}
				s.commit(2)
				synctest.Wait()
				s.expectSeqs(w, c.first, 12)
			})
		})
	}
}

func TestWatchEndsWhenItsContextOrItsReaderEnds(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		canceled := s.startWatcher("", nil)
		reset := errors.New("connection reset")
		failing := s.startWatcher("", func() error { return reset })
		canceled.cancel()
		if err := <-canceled.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("after the cancellation the watch ended with %v", err)
		}
		s.commit(1)
		if err := <-failing.ended; !errors.Is(err, reset) {
			t.Errorf("after the reader's error the watch ended with %v", err)
		}
	})
}

func TestWatchYieldsEverythingCommittedAfterTheCall(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.commit(3)
		changes, err := s.hub.Watch(s.t.Context(), task.NoOwner, "")
		if err != nil {
			s.t.Fatal(err)
		}
		s.commit(3)
		synctest.Wait()
		var got []task.Announcement
		for a := range changes {
			if got = append(got, a); len(got) == 2 {
				break
			}
		}
		if !got[0].Bookmark() || got[0].Seq != 3 || got[1].Bookmark() || got[1].Seq != 4 {
			t.Errorf("the watch begins with %+v, want a bookmark at 3, then announcement 4", got)
		}
	})
}

func TestWatchYieldsABookmarkAtFirstAndAfterEachSilence(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.commit(3)
		w := s.startWatcher("1", nil)
		advance(11 * time.Second)
		s.commit(1)
		advance(4 * time.Second)
		s.commit(1)
		advance(4 * time.Second)
		s.expectSeqs(w, 2, 5)
		if diff := cmp.Diff([]int64{1, 3, 3}, w.bookmarks()); diff != "" {
			t.Errorf("bookmarks (-want +got):\n%s", diff)
		}
		advance(2 * time.Second)
		if diff := cmp.Diff([]int64{1, 3, 3, 5}, w.bookmarks()); diff != "" {
			t.Errorf("bookmarks after another silence (-want +got):\n%s", diff)
		}
	})
}

func TestEveryWatchEndsWithUnavailableWhenTheHubStops(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.commit(5_000)
		synctest.Wait()
		watchers := []*watcher{s.startWatcher("", nil), s.startWatcher("5000", nil), s.startWatcher("0", func() error {
			s.stop()
			return nil
		})}
		for _, w := range watchers {
			expectKind(t, <-w.ended, apperr.Unavailable)
		}
		s.expectSeqs(watchers[2], 1, 1)
		expectKind(t, <-s.startWatcher("", nil).ended, apperr.Unavailable)
	})
}

func TestWatchFailsWithinSecondsWhenTheEventLogIsFrozen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := watch.NewHub(&lossyFeed{}, &fakeEventLog{frozen: true}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		start := time.Now()
		_, err := hub.Watch(t.Context(), task.NoOwner, "7")
		if took := time.Since(start); apperr.Of(err).Kind != apperr.Unavailable || took > 10*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
