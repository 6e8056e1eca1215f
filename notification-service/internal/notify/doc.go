// Package notify implements idempotent delivery with leases: it decides which
// event notifies, in which words, and that each event has its effect once. It
// knows no transport, no log and no database.
//
// The state of an event's dedup key, in the ClaimStore:
//
//	        Acquire                    RecordSent, after Send
//	absent ─────────> leased (30 s) ─────────────────────────> sent (24 h)
//	   ^                   │
//	   └─ the lease expires┘
//
// A crash before RecordSent leaves a lease that expires, so another replica sends:
// no notification is lost, and one may be sent twice.
package notify
