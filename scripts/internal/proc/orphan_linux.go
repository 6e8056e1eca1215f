package proc

import "syscall"

func setOrphanSignal(attr *syscall.SysProcAttr, s syscall.Signal) { attr.Pdeathsig = s }
