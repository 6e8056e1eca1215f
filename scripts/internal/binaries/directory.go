package binaries

import (
	"fmt"
	"os"
	"path/filepath"
)

// createAtomically creates a folder and has fill write its content. The folder appears complete or not at all.
// An existing folder stays unchanged.
func (f Finder) createAtomically(dir, what string, fill func(unfinished string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	f.Cache.Console.Progress("unpacking %s into %s", what, dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }() // after success it has been renamed
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return fmt.Errorf("unpack %s: %w", what, err)
	}
	err = os.Rename(unfinished, dir)
	if _, there := os.Stat(dir); there == nil {
		return nil // another process created it meanwhile
	}
	return err
}
