// Package outbox implements the relay of the transactional outbox: it publishes each
// event of the database's event log to Kafka and to the live feed, in seq order, at
// least once.
//
//	todo-service: one statement writes task + event
//	      │ commit
//	      v
//	event log ── sequencer assigns seq after the commit: 1, 2, 3, … without gaps
//	      │
//	      ├── cursor "kafka" ── forwarder ──> Kafka topic task-events
//	      └── cursor "live"  ── forwarder ──> invalidate the cached list, Redis pub/sub
//
// A forwarder moves one cursor. It forwards a batch when it is woken by a commit of
// this process, and every second for the commits of processes that died:
//
//	wait for wake-up or poll
//	   │
//	   v
//	lock the cursor (one replica at a time) ─> read events after it ─> Send ─> advance the cursor ─> unlock
//	   ^                                                              │ error
//	   └──────────────── back off, perhaps with a smaller batch <─────┘
//
// A process that dies between Send and advance leaves the cursor where it was. The
// next replica sends that batch again, so receivers identify an event by its id.
package outbox
