// Package cluster implements the cluster under test: PostgreSQL, two Redis servers, Kafka and two
// replicas of every service, with a folder and free ports of 127.0.0.1 of its own.
//
//	todo-service-1, -2 ─────────┐          ┌─> postgres ──> postgres-standby
//	notification-service-1, -2 ─┼─ proxy ──┼─> redis, redis-cache
//	stats-service-1, -2 ────────┘ (faults) └─> kafka
//	checker, probe, rogue producer ──────────^ directly
//
// Each program is a Node, which restarts its process whenever it exits, and which can be killed,
// frozen and held. The services reach every server through a proxy that injects network faults;
// observers connect directly.
package cluster
