// Package load holds the tests of what todo-service promises under load and
// while it is restarted: replicas of it, built as they are released, on real
// servers. They are short; `make load`, from the top, runs them in full.
package load
