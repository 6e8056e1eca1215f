// Package session implements sign-in sessions with opaque tokens in Redis: a store, an
// authenticator for HTTP and gRPC, and a watcher for open streams. Everything fails
// closed: without an answer of Redis no request passes.
//
// A token is 256 random bits in base64url. Redis has only its SHA-256:
//
//	session:<hash>      hash: id, user_id, role, created_at, last_seen; expires by TTL
//	sessions:<user id>  sorted set: the hashes of the user's sessions by creation
//
//	Create ──> active ── Check: TTL = Config.Idle, at most until Config.MaxAge ──┐
//	             │  ^─────────────────────────────────────────────────────────────┘
//	             ├─ Config.Idle without a Check, or Config.MaxAge after Create ──> ended
//	             ├─ Revoke, RevokeAll ───────────────────────────────────────────> ended
//	             └─ 50 newer sessions of the user ───────────────────────────────> ended
//
// created_at and last_seen are milliseconds since 1970 on the clock of Redis, which all
// replicas share.
package session
