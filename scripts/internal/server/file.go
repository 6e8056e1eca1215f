// Package server describes the servers that the services need, as parts of a supervisor: PostgreSQL, Redis,
// and two kinds of Kafka. Every server listens on 127.0.0.1 only.
package server

import (
	"fmt"
	"os"
	"path/filepath"
)

// exists reports whether a file exists. After another error it returns false: the caller's next step fails.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// writeFile writes a server's settings and creates their folder.
func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write a server's settings: %w", err)
	}
	return nil
}
