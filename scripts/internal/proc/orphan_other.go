//go:build !linux

package proc

import "syscall"

// setOrphanSignal does nothing: only Linux signals a child at its parent's death.
func setOrphanSignal(*syscall.SysProcAttr, syscall.Signal) {}
