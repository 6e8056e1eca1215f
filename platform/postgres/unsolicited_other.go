//go:build !unix

package postgres

import "net"

// hasUnsolicitedData is not implemented on this system.
func hasUnsolicitedData(net.Conn) bool { return false }
