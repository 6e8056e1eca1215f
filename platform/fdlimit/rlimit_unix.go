//go:build unix

package fdlimit

import (
	"math"
	"syscall"
)

// openFilesLimit returns how many files the process may have open.
func openFilesLimit() int {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return noLimit
	}
	return int(min(now.Cur, math.MaxInt))
}
