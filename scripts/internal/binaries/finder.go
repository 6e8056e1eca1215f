// Package program finds the programs of the servers: on PATH, in the folders where systems keep them,
// and otherwise by fetching them.
package binaries

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"example.com/todo/scripts/internal/proc"
)

// Finder finds programs.
type Finder struct {
	Cache Cache
	// FetchedOnly passes over what the machine has.
	FetchedOnly bool
}

// versionTimeout bounds how long a program may take to tell its version.
const versionTimeout = 5 * time.Second

var versionNumber = regexp.MustCompile(`(\d+)(?:\.(\d+))?`)

// version is a program's version number.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// readVersion runs a program that prints its version and reads the first number after the word mark.
func readVersion(ctx context.Context, mark *regexp.Regexp, path string, args ...string) (version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return version{}, fmt.Errorf("%s: %w", path, err)
	}
	at := mark.FindIndex(output)
	if at == nil {
		return version{}, fmt.Errorf("%s tells no version: %q", path, output)
	}
	number := versionNumber.FindStringSubmatch(string(output[at[1]:]))
	if number == nil {
		return version{}, fmt.Errorf("%s tells no version: %q", path, output)
	}
	major, _ := strconv.Atoi(number[1]) // the pattern lets digits through only
	minor, _ := strconv.Atoi(number[2]) // absent counts as 0
	return version{major, minor}, nil
}

// reachableByServerAccount tells whether programs in dir can be run by the user that refuses-root programs run as.
func reachableByServerAccount(dir string) (bool, error) {
	account, err := proc.Unprivileged()
	if err != nil {
		return false, err
	}
	return account.CanReach(dir), nil
}
