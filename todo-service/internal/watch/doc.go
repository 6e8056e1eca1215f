// Package watch brings every change to many watchers: each in seq order, from
// where it left off, without a gap.
//
// One follower per process keeps the newest announcements in a ring that all
// watchers read; it begins with what is newest in the log. It hears of them over
// the live feed, one round trip after the commit; whatever the feed may have lost
// it reads from the log. A watcher is
// only a position: when it is behind the ring, because it resumed or is slow, it
// reads the log by itself until it has caught up. So a slow watcher costs the
// others nothing and the process no memory.
package watch
