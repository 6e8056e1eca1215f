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
	// OnlyFetched passes over what the machine has.
	OnlyFetched bool
}

// versionLimit bounds how long a program may take to tell its version.
const versionLimit = 5 * time.Second

var versionNumber = regexp.MustCompile(`(\d+)(?:\.(\d+))?`)

// version is a program's version number.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// versionOf runs a program that prints its version and reads the first number after the word mark.
func versionOf(ctx context.Context, mark *regexp.Regexp, path string, args ...string) (version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
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

// reachable tells whether programs in dir can be run by the user that refuses-root programs run as.
func reachable(dir string) (bool, error) {
	account, err := proc.Unprivileged()
	if err != nil {
		return false, err
	}
	return account.Reaches(dir), nil
}
