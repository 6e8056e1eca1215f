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

// parseFailpoint reads name:n. What is not of that form is a mistake of the test's, and
// ends the process at once.
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

// Hit dies when the place name is the wanted one and this is the wanted time.
func Hit(name, inHand string) {
	if name != armedName || remaining.Add(-1) != 0 {
		return
	}
	appendLog(name, inHand)
	die()
}

// HitPoison panics, or dies, when value asks for it.
func HitPoison(value []byte) {
	if bytes.Contains(value, []byte(Kills)) {
		die()
	}
	if bytes.Contains(value, []byte(Panics)) {
		panic(Panics)
	}
}

func appendLog(name, inHand string) {
	if logPath == "" {
		return
	}
	file, err := os.OpenFile(logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Fprintf(file, "%s %s\n", name, inHand); err != nil {
		panic(err)
	}
	if err := file.Close(); err != nil {
		panic(err)
	}
}

// die ends the process at once: no deferred call runs, no buffer is written.
func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}
