package command

import (
	"cmp"
	"fmt"
	"runtime"
)

// The linker sets these in a release build: -X example.com/todo/platform/command.version=v0.9.0.
var (
	version string // of the release
	commit  string // that was built
	date    string // of the commit, RFC 3339
)

// describeBuild returns the version, the commit, its date and the version of Go, for --version.
func describeBuild() string {
	return fmt.Sprintf("%s (commit %s, %s, %s)", cmp.Or(version, "devel"), cmp.Or(commit, "unknown"), cmp.Or(date, "no date"), runtime.Version())
}
