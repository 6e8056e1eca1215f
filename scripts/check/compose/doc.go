// Package compose checks the compose files as `docker compose config` does. It needs no Docker.
package compose
