//go:build unix

package postgres

import (
	"errors"
	"net"
	"syscall"
)

// hasUnsolicitedData looks at what has arrived on conn, without taking it and without waiting.
func hasUnsolicitedData(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Control(func(fd uintptr) { // unlike Read it does not mind a deadline that has passed
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && nothing
}
