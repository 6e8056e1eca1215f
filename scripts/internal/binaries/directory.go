package binaries

import (
	"fmt"
	"os"
	"path/filepath"
)

// createAtomically makes a folder by a function that fills it. The folder appears whole or not at all, and a folder
// that is there is left as it is.
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
	defer func() { _ = os.RemoveAll(unfinished) }() // gone already when all went well
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return fmt.Errorf("unpack %s: %w", what, err)
	}
	err = os.Rename(unfinished, dir)
	if _, there := os.Stat(dir); there == nil {
		return nil // another devstack was faster
	}
	return err
}
