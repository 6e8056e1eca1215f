// Package binaries finds the servers' programs: on PATH, in the folders where systems install them, and
// otherwise by download. A download is pinned by its checksum and unpacked into a cache folder once.
package binaries

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"example.com/todo/scripts/internal/proc"
)

// Finder finds the programs of PostgreSQL, Redis and Kafka, and the script of axe-core.
type Finder struct {
	Cache Cache
	// FetchedOnly ignores installed programs.
	FetchedOnly bool
}

// versionTimeout bounds a run of a program that prints its version.
const versionTimeout = 5 * time.Second

// version is a program's version number.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// versionPattern matches a major and, where one is, a minor version after a prefix.
func versionPattern(prefix string) *regexp.Regexp {
	return regexp.MustCompile(prefix + `(\d+)(?:\.(\d+))?`)
}

// readVersion runs a program that prints its version, and parses that.
func readVersion(ctx context.Context, pattern *regexp.Regexp, path string, args ...string) (version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return version{}, fmt.Errorf("%s: %w", path, err)
	}
	number := pattern.FindStringSubmatch(string(output))
	if number == nil {
		return version{}, fmt.Errorf("%s prints no version: %q", path, output)
	}
	major, _ := strconv.Atoi(number[1]) // the pattern matches digits only
	minor, _ := strconv.Atoi(number[2]) // a missing minor version is 0
	return version{major, minor}, nil
}

// reachableByServerAccount reports whether the account of programs that refuse root can enter dir.
func reachableByServerAccount(dir string) (bool, error) {
	account, err := proc.Unprivileged()
	if err != nil {
		return false, err
	}
	return account.CanReach(dir), nil
}

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
