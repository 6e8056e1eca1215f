package watch_test

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func TestEveryWatcherGetsEveryChangeInOrderOverAnUnreliableFeed(t *testing.T) {
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
		"of a replica that sends no log name": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Seq: all[i].Seq, Event: all[i].Event})
		},
		"of two systems": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Log: "theirs", Seq: all[i].Seq, Event: task.Event{ID: "foreign", Type: task.Updated}})
			f.send(all[i])
		},
		"inventing announcements": func(f *lossyFeed, all []task.Announcement, i int) {
			f.send(task.Announcement{Log: "ours", Seq: int64(len(all)) + 1_000_000})
			f.send(task.Announcement{Log: "ours", Seq: -1})
			f.send(all[i])
		},
		"disconnecting": func(f *lossyFeed, all []task.Announcement, i int) {
			if i%10 == 0 {
				f.cut()
			}
			f.send(all[i])
		},
	}
	for name, announce := range feeds {
		t.Run(name, func(t *testing.T) {
			withHub(t, func(s *hubFixture) {
				const watchers, changes = 100, 500
				s.commit(5)
				s.eventLog.set(func(l *fakeEventLog) { l.maxDelay = 5 * time.Millisecond })
				var all []*watcher
				for range watchers {
					all = append(all, s.startWatcher("", nil))
				}
				resumed := s.startWatcher("2", nil)
				slow := s.startWatcher("0", func() error {
					<-time.After(rand.N(10 * time.Millisecond))
					return nil
				})
				for i := range changes {
					s.eventLog.append(task.NoOwner)
					announce(s.feed, s.eventLog.announcements, i+5)
					if rand.N(20) == 0 {
						advance(rand.N(20 * time.Millisecond))
					}
				}
				advance(10 * time.Second)
				for _, w := range all {
					s.expectSeqs(w, 6, changes+5)
				}
				s.expectSeqs(resumed, 3, changes+5)
				s.expectSeqs(slow, 1, changes+5)
			})
		})
	}
}

func TestHubReadsNoEventLogWhileTheFeedIsComplete(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		w := s.startWatcher("", nil)
		s.expectNoLogReads(func() {
			for range 100 {
				s.commit(1)
				synctest.Wait()
			}
			s.expectSeqs(w, 1, 100)
		})
	})
}

func TestHubIgnoresAnnouncementsOfAnotherLog(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.commit(3)
		w := s.startWatcher("", nil)
		s.expectNoLogReads(func() {
			for seq := range int64(10) {
				s.feed.send(task.Announcement{Log: "theirs", Seq: seq, Event: task.Event{ID: "foreign", Type: task.Updated}})
			}
			synctest.Wait()
			s.commit(1)
			synctest.Wait()
			s.expectSeqs(w, 4, 4)
		})
	})
}

// A promoted standby may lack the last commits, and then gives their seqs to other
// events. A recreated database begins with seq 1.
func TestWatchesEndWithGoneWhenTheLogWasReplacedOrHasLostItsEnd(t *testing.T) {
	for name, now := range map[string]struct {
		log  string
		head int
	}{
		"it lost its end":           {"ours", 5},
		"a shorter log replaced it": {"new", 0},
		"a longer log replaced it":  {"new", 20},
	} {
		t.Run(name, func(t *testing.T) {
			withHub(t, func(s *hubFixture) {
				s.commit(10)
				idle, behind := s.startWatcher("", nil), s.startWatcher("3", func() error {
					<-time.After(time.Second)
					return nil
				})
				s.eventLog.set(func(l *fakeEventLog) { l.name, l.announcements = now.log, nil })
				for range now.head {
					s.eventLog.append(task.NoOwner)
				}
				advance(10 * time.Second)
				for _, w := range []*watcher{idle, behind} {
					select {
					case err := <-w.ended:
						if apperr.Of(err).Kind != apperr.Gone {
							t.Errorf("the watch ended with %v", err)
						}
					default:
						t.Error("the watch has not ended")
					}
				}
				w := s.startWatcher("", nil)
				s.commit(3)
				synctest.Wait()
				s.expectSeqs(w, int64(now.head)+1, int64(now.head)+3)
			})
		})
	}
}

func TestManyWatchersThatResumeAfterAStartAreServedFromTheRing(t *testing.T) {
	for name, behind := range map[string]int64{"by 100 announcements": 100, "by the size of the ring": 1024} {
		t.Run(name, func(t *testing.T) {
			const head = 3000
			log := &fakeEventLog{name: "ours"}
			for range head {
				log.append(task.NoOwner)
			}
			withHubOver(t, log, func(s *hubFixture) {
				if s.eventLog.reads > 6 {
					t.Errorf("the event log was read %d times at the start", s.eventLog.reads)
				}
				s.expectNoLogReads(func() {
					var all []*watcher
					for range manyWatchers {
						all = append(all, s.startWatcher(strconv.FormatInt(head-behind, 10), nil))
					}
					s.commit(1)
					synctest.Wait()
					for _, w := range all {
						s.expectSeqs(w, head-behind+1, head+1)
					}
				})
				s.expectGaps(0)
				s.eventLog.append(task.NoOwner) // not sent over the feed
				s.commit(1)
				synctest.Wait()
				s.expectGaps(2)
			})
		})
	}
}

func TestHubServesTheRestOfALogThatIsPurgedDuringItsStart(t *testing.T) {
	t.Parallel()
	for name, purged := range map[string]int64{"some": 90, "all": 100} {
		t.Run(name, func(t *testing.T) {
			log := &fakeEventLog{name: "ours", purgeAfterBounds: purged}
			for range 100 {
				log.append(task.NoOwner)
			}
			withHubOver(t, log, func(s *hubFixture) {
				w := s.startWatcher(strconv.FormatInt(purged, 10), nil)
				s.commit(1)
				synctest.Wait()
				s.expectSeqs(w, purged+1, 101)
			})
		})
	}
}

func TestHubReadsALostAnnouncementWhenTheNextOneArrives(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		w := s.startWatcher("", nil)
		s.eventLog.append(task.NoOwner) // not sent over the feed
		s.commit(1)
		synctest.Wait() // no time passes
		s.expectSeqs(w, 1, 2)
	})
}

func TestHubCatchesUpWhenItHasSubscribedAgain(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		w := s.startWatcher("", nil)
		s.feed.cut()
		s.commit(1)
		advance(300 * time.Millisecond) // less than until the next poll
		s.expectSeqs(w, 1, 1)
	})
}

func TestHubDeliversChangesWithinASecondWhileTheFeedIsAway(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.feed.set(func(f *lossyFeed) { f.refuseSubscriptions = true })
		s.feed.cut()
		w := s.startWatcher("", nil)
		s.commit(3)
		advance(time.Second)
		s.expectSeqs(w, 1, 3)

		advance(time.Minute)
		if s.feed.subscribeCalls > 60 {
			t.Errorf("%d attempts to subscribe in a minute", s.feed.subscribeCalls)
		}
		s.feed.set(func(f *lossyFeed) { f.refuseSubscriptions = false })
		advance(2 * time.Second)
		s.commit(1)
		synctest.Wait()
		s.expectSeqs(w, 1, 4)
	})
}

func TestASlowWatcherDelaysNoOtherWatcherAndCatchesUp(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		proceed := make(chan struct{})
		slow := s.startWatcher("", func() error { <-proceed; return nil })
		fast := s.startWatcher("", nil)
		const changes = 10_000 // the ring holds a fraction
		for range changes / 100 {
			s.commit(100)
			synctest.Wait()
		}
		s.expectSeqs(fast, 1, changes)
		s.expectSeqs(slow, 1, 0)
		close(proceed)
		synctest.Wait()
		s.expectSeqs(slow, 1, changes)
	})
}

func TestAWatchEndsWithGoneWhenThePurgeOvertakesIt(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		proceed := make(chan struct{})
		slow := s.startWatcher("", func() error { <-proceed; return nil })
		s.commit(10_000)
		synctest.Wait()
		s.eventLog.set(func(l *fakeEventLog) { l.purged = 5_000 })
		close(proceed)
		expectKind(t, <-slow.ended, apperr.Gone)
		held := int64(len(slow.received()))
		if held < 1 || held > 32 {
			t.Errorf("the watcher got %d announcements, want 1 to 32", held)
		}
		s.expectSeqs(slow, 1, held)
	})
}

func TestHubContinuesAfterThePurgedPartWhenItHasFallenBehind(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		s.feed.set(func(f *lossyFeed) { f.refuseSubscriptions = true })
		s.feed.cut()
		s.eventLog.set(func(l *fakeEventLog) { l.unavailable = true })
		advance(time.Second)
		for range 10_000 {
			s.eventLog.append(task.NoOwner)
		}
		s.eventLog.set(func(l *fakeEventLog) { l.unavailable, l.purged = false, 9_000 })
		w := s.startWatcher("9000", nil)
		advance(time.Second)
		s.expectSeqs(w, 9_001, 10_000)
	})
}

func TestWatchesContinueAfterAnOutageOfTheEventLog(t *testing.T) {
	withHub(t, func(s *hubFixture) {
		w := s.startWatcher("", nil)
		s.eventLog.set(func(l *fakeEventLog) { l.unavailable = true })
		s.commit(2) // the feed still delivers them
		advance(10 * time.Second)
		s.expectSeqs(w, 1, 2)
		if err := <-s.startWatcher("", nil).ended; !errors.Is(err, errUnavailable) {
			t.Errorf("a watch that starts during the outage ended with %v", err)
		}

		s.eventLog.append(task.NoOwner) // lost by the feed
		s.commit(1)
		advance(10 * time.Second)
		s.expectSeqs(w, 1, 2)

		s.eventLog.set(func(l *fakeEventLog) { l.unavailable = false })
		advance(time.Second)
		s.expectSeqs(w, 1, 4)
	})
}

func TestHubServesWatchersOnceTheEventLogIsAvailableAfterTheStart(t *testing.T) {
	withHubOver(t, &fakeEventLog{name: "ours", unavailable: true}, func(s *hubFixture) {
		advance(time.Minute)
		for range 3 {
			s.eventLog.append(task.NoOwner) // no later event wakes the watcher
		}
		s.eventLog.set(func(l *fakeEventLog) { l.unavailable = false })
		w := s.startWatcher("2", nil) // the ring is not loaded yet
		s.expectSeqs(w, 3, 2)
		advance(time.Second)
		s.expectSeqs(w, 3, 3)
		s.commit(1)
		synctest.Wait()
		s.expectSeqs(w, 3, 4)
	})
}
