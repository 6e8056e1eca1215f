//go:build unix

package postgres

import (
	"errors"
	"net"
	"syscall"
)

// hasUnsolicitedData peeks at the data that has arrived on conn, without waiting. It returns true for the
// end of the stream and for a socket error, and false for a conn without a file descriptor.
func hasUnsolicitedData(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	empty := false
	// Unlike Read, Control works after the read deadline.
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		empty = errors.Is(err, syscall.EAGAIN)
	})
	return err != nil || !empty
}
