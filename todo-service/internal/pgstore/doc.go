// Package pgstore is the repository of tasks in PostgreSQL, with a transactional
// outbox: one statement writes a change and the event that announces it. The event
// log is the table events, read by seq.
//
//	writers     task row and event row in one statement. pos is drawn under the task's
//	   │        row lock, so it grows with each change of one task.
//	   │ commit, perhaps pos 8 before pos 7 of another task
//	   v
//	sequencer   AssignSequence: gives committed events their seq, in the order of pos
//	   │
//	   │        pos   3   4   5   6   8 │ 7
//	   v        seq   1   2   3   4   5 │ 6   without gaps, append-only
//	event log   ──────────────────────────────> After, Bounds
//	                  ^       ^       ^   ^
//	                  │       │       │   head            the last seq given
//	                  │       │       live_seq            sent to the live feed
//	                  │       kafka_seq                   sent to Kafka
//	                  purged_through                      removed by Purge
//
// ForwardBatch sends what lies behind one of the two cursors and advances it.
// A reader of "pos > last" would pass over pos 7 above; a reader of seq does not.
//
// Each row of tasks and events has the owner in user_id, NULL for task.NoOwner. No
// statement finds a row by its id alone: it compares the owner, too. The pages of an
// owner are ranges of indexes that hold only rows with one (decision 24).
package pgstore
