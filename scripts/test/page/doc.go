// Package page drives the page of todo-service in a real Chromium, against a whole system of its own: by mouse,
// keyboard and touch, in several tabs beside other clients, without a network, and without a script.
//
//	Chromium ──> fault proxy ──> todo-service ──> PostgreSQL, Redis, Kafka
//	       └───> fault proxy ──> stats-service
//
// The proxies cut connections and answer with errors on demand. A test fails for anything that the page did wrong on
// the way: errors on its console, violations of its Content-Security-Policy, requests that failed although no fault was
// injected, and violations of accessibility rules, which axe-core finds. Screenshots are written to .dev/page of the
// repository.
package page
