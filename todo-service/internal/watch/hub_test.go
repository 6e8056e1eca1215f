package watch_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

func TestEveryWatcherGetsEveryChangeInOrderWhateverTheFeedDoes(t *testing.T) {
	t.Parallel()
	feeds := map[string]func(f *lossyFeed, all []task.Announcement, i int){
		"faithful": func(f *lossyFeed, all []task.Announcement, i int) { f.send(all[i]) },
		"silent":   func(*lossyFeed, []task.Announcement, int) {},
		"losing every third": func(f *lossyFeed, all []task.Announcement, i int) {
			if i%3 != 0 {
				f.send(all[i])
			}
		},
		"repeating": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(all[i])
			f.send(all[i])
			f.send(all[i/2])
		},
		"reordering": func(f *lossyFeed, all []task.Announcement, i int) {
			if i%2 == 1 {
				f.send(all[i])
				f.send(all[i-1])
			}
		},
		"of a replica that names no log": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Seq: all[i].Seq, Event: all[i].Event})
		},
		"of two systems": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Log: "theirs", Seq: all[i].Seq, Event: task.Event{ID: "foreign", Type: task.Updated}})
			f.send(all[i])
		},
		"announcing what never was": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Log: "ours", Seq: int64(len(all)) + 1_000_000})
			f.send(task.Announcement{Log: "ours", Seq: -1})
			f.send(all[i])
		},
		"cut again and again": func(f *lossyFeed, all []task.Announcement, i int) {
			if i%10 == 0 {
				f.cut()
			}
			f.send(all[i])
		},
	}
	for name, announce := range feeds {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				const watchers, changes = 100, 500
				s.change(5)
				s.log.set(func(l *memoryLog) { l.slow = 5 * time.Millisecond })
				var all []*watcher
				for range watchers {
					all = append(all, s.watch("", nil))
				}
				resumed := s.watch("2", nil)
				slow := s.watch("0", func() error {
					<-time.After(rand.N(10 * time.Millisecond))
					return nil
				})
				for i := range changes {
					s.log.append()
					announce(s.feed, s.log.all, i+5)
					if rand.N(20) == 0 {
						later(rand.N(20 * time.Millisecond))
					}
				}
				later(10 * time.Second)
				for _, w := range all {
					s.expect(w, 6, changes+5)
				}
				s.expect(resumed, 3, changes+5)
				s.expect(slow, 1, changes+5)
			})
		})
	}
}

func TestAFaithfulFeedSparesTheLog(t *testing.T) {
	onStage(t, func(s *stage) {
		w := s.watch("", nil)
		s.sparingTheLog(func() {
			for range 100 {
				s.change(1)
				synctest.Wait()
			}
			s.expect(w, 1, 100)
		})
	})
}

func TestWhatAnotherSystemAnnouncesIsNothing(t *testing.T) {
	onStage(t, func(s *stage) {
		s.change(3)
		w := s.watch("", nil)
		s.sparingTheLog(func() {
			for seq := range int64(10) {
				s.feed.send(task.Announcement{Log: "theirs", Seq: seq, Event: task.Event{ID: "foreign", Type: task.Updated}})
			}
			synctest.Wait()
			s.change(1)
			synctest.Wait()
			s.expect(w, 4, 4)
		})
	})
}

// A standby that takes over may lack the last commits, and then gives their places to
// others; a database that was made anew begins with the first place.
func TestWhoWatchesALogThatIsNoLongerThereBeginsAnew(t *testing.T) {
	for name, now := range map[string]struct {
		log  string
		head int
	}{
		"it lost its end":        {"ours", 5},
		"another one is shorter": {"new", 0},
		"another one is longer":  {"new", 20},
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.change(10)
				idle, behind := s.watch("", nil), s.watch("3", func() error {
					<-time.After(time.Second)
					return nil
				})
				s.log.set(func(l *memoryLog) { l.name, l.all = now.log, nil })
				for range now.head {
					s.log.append()
				}
				later(10 * time.Second)
				for _, w := range []*watcher{idle, behind} {
					select {
					case err := <-w.ended:
						if apperr.Of(err).Kind != apperr.Gone {
							t.Errorf("the watch ended with %v", err)
						}
					default:
						t.Error("the watch goes on")
					}
				}
				w := s.watch("", nil)
				s.change(3)
				synctest.Wait()
				s.expect(w, int64(now.head)+1, int64(now.head)+3)
			})
		})
	}
}

func TestManyWhoResumeAfterAStartReadTheLogTogether(t *testing.T) {
	for name, behind := range map[string]int64{"by little": 100, "by all that the ring holds": 1024} {
		t.Run(name, func(t *testing.T) {
			const head = 3000
			log := &memoryLog{name: "ours"}
			for range head {
				log.append()
			}
			onStageWith(t, log, func(s *stage) {
				if s.log.reads > 6 {
					t.Errorf("the log was read %d times to begin with", s.log.reads)
				}
				s.sparingTheLog(func() {
					var all []*watcher
					for range manyWatchers {
						all = append(all, s.watch(strconv.FormatInt(head-behind, 10), nil))
					}
					s.change(1)
					synctest.Wait()
					for _, w := range all {
						s.expect(w, head-behind+1, head+1)
					}
				})
				s.expectGaps(0)
				s.log.append() // never announced
				s.change(1)
				synctest.Wait()
				s.expectGaps(2)
			})
		})
	}
}

func TestAHubThatStartsWhileItsLogIsPurgedServesWhatIsLeft(t *testing.T) {
	t.Parallel()
	for name, purged := range map[string]int64{"some": 90, "all": 100} {
		t.Run(name, func(t *testing.T) {
			log := &memoryLog{name: "ours", overtaken: purged}
			for range 100 {
				log.append()
			}
			onStageWith(t, log, func(s *stage) {
				w := s.watch(strconv.FormatInt(purged, 10), nil)
				s.change(1)
				synctest.Wait()
				s.expect(w, purged+1, 101)
			})
		})
	}
}

func TestALostMessageIsMissedForAMomentOnly(t *testing.T) {
	onStage(t, func(s *stage) {
		w := s.watch("", nil)
		s.log.append() // never announced
		s.change(1)
		synctest.Wait() // no time passes
		s.expect(w, 1, 2)
	})
}

func TestANewSubscriptionLooksForWhatTheOldOneMissed(t *testing.T) {
	onStage(t, func(s *stage) {
		w := s.watch("", nil)
		s.feed.cut()
		s.change(1)
		later(300 * time.Millisecond) // the next poll is further away
		s.expect(w, 1, 1)
	})
}

func TestWithTheFeedAwayAChangeIsASecondLate(t *testing.T) {
	onStage(t, func(s *stage) {
		s.feed.set(func(f *lossyFeed) { f.refuse = true })
		s.feed.cut()
		w := s.watch("", nil)
		s.change(3)
		later(time.Second)
		s.expect(w, 1, 3)

		later(time.Minute)
		if s.feed.subscribed > 60 {
			t.Errorf("%d tries to subscribe in a minute", s.feed.subscribed)
		}
		s.feed.set(func(f *lossyFeed) { f.refuse = false })
		later(2 * time.Second)
		s.change(1)
		synctest.Wait()
		s.expect(w, 1, 4)
	})
}

func TestASlowWatcherHoldsUpNobodyAndCatchesUp(t *testing.T) {
	onStage(t, func(s *stage) {
		gate := make(chan struct{})
		slow := s.watch("", func() error { <-gate; return nil })
		quick := s.watch("", nil)
		const changes = 10_000 // the ring holds a fraction
		for range changes / 100 {
			s.change(100)
			synctest.Wait()
		}
		s.expect(quick, 1, changes)
		s.expect(slow, 1, 0)
		close(gate)
		synctest.Wait()
		s.expect(slow, 1, changes)
	})
}

func TestAWatcherThatThePurgeOvertookIsToldSo(t *testing.T) {
	onStage(t, func(s *stage) {
		gate := make(chan struct{})
		slow := s.watch("", func() error { <-gate; return nil })
		s.change(10_000)
		synctest.Wait()
		s.log.set(func(l *memoryLog) { l.purged = 5_000 })
		close(gate)
		expectKind(t, <-slow.ended, apperr.Gone)
		held := int64(len(slow.got()))
		if held < 1 || held > 32 {
			t.Errorf("it held %d announcements", held)
		}
		s.expect(slow, 1, held)
	})
}

func TestTheFollowerPassesOverWhatThePurgeTookBeforeIt(t *testing.T) {
	onStage(t, func(s *stage) {
		s.feed.set(func(f *lossyFeed) { f.refuse = true })
		s.feed.cut()
		s.log.set(func(l *memoryLog) { l.away = true })
		later(time.Second)
		for range 10_000 {
			s.log.append()
		}
		s.log.set(func(l *memoryLog) { l.away, l.purged = false, 9_000 })
		w := s.watch("9000", nil)
		later(time.Second)
		s.expect(w, 9_001, 10_000)
	})
}

func TestWatchersOutliveAnOutageOfTheLog(t *testing.T) {
	onStage(t, func(s *stage) {
		w := s.watch("", nil)
		s.log.set(func(l *memoryLog) { l.away = true })
		s.change(2) // the feed still works
		later(10 * time.Second)
		s.expect(w, 1, 2)
		if err := <-s.watch("", nil).ended; !errors.Is(err, errAway) {
			t.Errorf("a watch that can not begin returned %v", err)
		}

		s.log.append() // lost by the feed
		s.change(1)
		later(10 * time.Second)
		s.expect(w, 1, 2)

		s.log.set(func(l *memoryLog) { l.away = false })
		later(time.Second)
		s.expect(w, 1, 4)
	})
}

func TestAHubThatStartsBeforeItsLogServesOnceItIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, log: &memoryLog{name: "ours", away: true}, feed: &lossyFeed{}}
		s.hub = watch.NewHub(s.feed, s.log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.hub.Run(ctx) })
		defer running.Wait()
		defer cancel()
		later(time.Minute)
		for range 3 {
			s.log.append() // and nothing more happens that would wake anybody
		}
		s.log.set(func(l *memoryLog) { l.away = false })
		w := s.watch("2", nil) // the follower does not know the head yet
		s.expect(w, 3, 2)
		later(time.Second)
		s.expect(w, 3, 3)
		s.change(1)
		synctest.Wait()
		s.expect(w, 3, 4)
	})
}
