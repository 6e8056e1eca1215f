// Package watch implements a fan-out hub with a ring buffer and resume tokens: it
// delivers every change to many watchers, to each in seq order, from the position of
// its token, without a gap.
//
//	 commit ── relay ──> live feed (Redis pub/sub: may lose, repeat, reorder)
//	    │                     │ onFeedEvent: append seq newest+1, or request a catch-up
//	    v                     v
//	event log ── catchUp ──> Hub ── ring: the newest 1024 to 2048 announcements
//	    │      (on request,           │            │            │
//	    │       and every second)     v            v            v
//	    └── readEventLog ────────> watcher at   watcher at   watcher at
//	        (a watcher behind       seq 17       seq 940      seq 951
//	         the ring)
//
// One follower per process fills the ring. A watcher is only a position: it reads the
// ring, and while it is behind the ring (it resumed, or its client is slow) it reads
// the event log. So a slow watcher costs other watchers nothing and the process no
// memory.
//
// The ring is indexed by owner. An announcement wakes the watchers of its owner alone.
// A watcher without announcements follows the end of the log: its owner's part of the
// ring begins at the last announcement of that owner that the ring has lost, however
// often others fill the ring.
//
// The resume token is the seq of the last announcement of any owner up to the position,
// in decimal. It is valid on every replica and for every owner, because seq is the
// position in the event log of the database.
//
// A watcher's states:
//
//	Watch(token) ── token outside PurgedThrough..Head ──> error apperr.Gone
//	     │
//	     v            behind the ring
//	  ┌─ in ring ───────────────────> in log ──┐ purged meanwhile
//	  │  ^  │ silence: bookmark         │      └──────────────> ends with apperr.Gone
//	  │  └──┴──────── caught up ────────┘
//	  ├─ log reset (another log, or a head below the ring) ───> ends with apperr.Gone
//	  └─ the hub stops ───────────────────────────────────────> ends with apperr.Unavailable
package watch
