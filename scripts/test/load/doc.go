// Package load holds the load tests of todo-service: replicas, built as for a release, with real servers. The
// tests are short unless `make load` runs them in full.
package load
