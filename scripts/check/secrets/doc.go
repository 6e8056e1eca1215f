// Package secrets tests the scan for secrets in repositories of its own.
package secrets
