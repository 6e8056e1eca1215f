// Package checker implements the checker of a robustness test, as Jepsen does: it judges the
// history of a run against the promises. It is a black box test and imports no code of the
// services; it knows the names in the specification alone.
//
//	clients' calls, list reads ───┐
//	tasks, events, keys (SQL) ────┤
//	topic, dead letters ──────────┼──> index ──> one check per promise ──> Verdict
//	webhook deliveries ───────────┤
//	GET /stats ───────────────────┤
//	faults, exits, memory ────────┘
//
// A check blames one part of the system. The effects of a completion are judged if the topic has
// its record and the group did not dead-letter it; their order is judged by the topic's order. An
// earlier failure turns the check of its own part red.
//
// A check that had nothing to look at is red if the scenario expected something: it proves
// nothing.
package checker
