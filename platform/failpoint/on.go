//go:build failpoints

package failpoint

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	armedName, remaining = parseFailpoint(os.Getenv("FAILPOINT"))
	logPath              = os.Getenv("FAILPOINT_LOG")
)

// parseFailpoint parses name:n, and panics if the text has another form.
func parseFailpoint(text string) (string, *atomic.Int64) {
	if text == "" {
		return "", nil
	}
	name, times, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil || n < 1 {
		panic(fmt.Sprintf("FAILPOINT=%q is not name:n", text))
	}
	var left atomic.Int64
	left.Store(n)
	return name, &left
}

// Hit kills the process if the failpoint name is armed and this is its n-th call. inFlight is what the caller is
// working on.
func Hit(name, inFlight string) {
	if name != armedName || remaining.Add(-1) != 0 {
		return
	}
	appendLog(name, inFlight)
	die()
}

// HitPoison panics, or kills the process, if value contains Panics or Kills. Handlers call it for each record.
func HitPoison(value []byte) {
	if bytes.Contains(value, []byte(Kills)) {
		die()
	}
	if bytes.Contains(value, []byte(Panics)) {
		panic(Panics)
	}
}

func appendLog(name, inFlight string) {
	if logPath == "" {
		return
	}
	file, err := os.OpenFile(logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Fprintf(file, "%s %s\n", name, inFlight); err != nil {
		panic(err)
	}
}

// die kills the process: no deferred call runs, no buffer is flushed.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}
