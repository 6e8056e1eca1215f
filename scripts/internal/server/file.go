// Package server knows how to prepare, start and ask each of the servers that the services need:
// PostgreSQL, Redis, and two kinds of Kafka. Every server listens on 127.0.0.1 only.
package server

import (
	"fmt"
	"os"
	"path/filepath"
)

// exists tells whether a file is there; any trouble to find out is met again by its user.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// writeFile writes a file that a server reads, making its folder.
func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write a server's settings: %w", err)
	}
	return nil
}
