// Package compose holds the test that reads the compose files as `docker compose
// config` does, on machines without Docker too.
package compose
