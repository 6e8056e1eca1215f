//go:build unix

package descriptors

import (
	"math"
	"syscall"
)

// limit returns how many files the process may have open.
func limit() int {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return unlimited
	}
	return int(min(now.Cur, math.MaxInt))
}
