package command

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of the cgroup's memory limit that Go may use. The rest is for the stacks
// of threads, the kernel's buffers, and allocations faster than the garbage collector.
const memoryShare = 0.9

// gcPercent is how much the heap may grow between two garbage collections, in percent of the
// memory in use. A service uses about 8 MiB. With Go's default of 100, a busy service collected
// some 25 times per second, which cost up to a sixth of its throughput. The heap may reach five
// times the memory in use, unless the memory limit is lower.
const gcPercent = 400

// setMemoryLimit sets Go's memory limit to memoryShare of the cgroup's limit (version 1 or 2), which
// granted returns. GOMEMLIMIT has precedence. If the cgroup's limit cannot be read, no limit is set.
func setMemoryLimit(granted memlimit.Provider) {
	// Near the limit the garbage collector works harder, instead of the kernel killing the process.
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(granted))
}

// setGCPercent sets how often garbage is collected. GOGC has precedence.
func setGCPercent() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
