//go:build unix

package logging

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// waitWritable waits until f is writable and returns true, or false after wait. A file on
// which each write fails counts as writable.
func waitWritable(f *os.File, wait time.Duration) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return true // the write returns the error
	}
	ready := true
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(wait.Milliseconds()))
			if !errors.Is(err, unix.EINTR) {
				ready = n > 0 || err != nil
				return
			}
		}
	})
	return ready
}
