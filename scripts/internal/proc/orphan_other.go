//go:build !linux

package proc

import "syscall"

// setOrphanSignal does nothing: only Linux tells a child that its parent died.
func setOrphanSignal(*syscall.SysProcAttr, syscall.Signal) {}
