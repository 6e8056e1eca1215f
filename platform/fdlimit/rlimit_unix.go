//go:build unix

package fdlimit

import (
	"math"
	"syscall"
)

// openFilesLimit returns the soft limit of open files, or noLimit when it cannot be read.
func openFilesLimit() int {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return noLimit
	}
	return int(min(now.Cur, math.MaxInt))
}
