package command

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that its cgroup (version 1 or 2) grants
// the process Go may fill. What is left is for stacks of threads, the kernel's
// buffers, and a burst that is faster than the collector.
const memoryShare = 0.9

// heedMemory makes the collector work harder as the process comes near the limit
// that granted tells, instead of running into it and being killed. When
// GOMEMLIMIT says how much, that holds. A limit that cannot be read is none.
func heedMemory(granted memlimit.Provider) {
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(granted))
}

// How much the heap grows between two collections, in percent of what is in
// use: Go's own is 100. While a process works hard half of its time would go
// into collecting what is hardly there.
const (
	idlePercent = 50
	busyPercent = 200
)

const (
	// hurry is how soon one collection follows another when the process is busy.
	hurry = 500 * time.Millisecond
	// calm is how long without a collection the process must have been to be idle.
	calm = 2 * time.Second
)

// StaySmall is for a process that is idle between bursts, each of which would
// leave behind a heap that it has no use for. It then gives the heap back, and
// collects garbage twice as often as usual until the next burst, in which it
// collects half as often. When GOGC says how often, that holds.
func StaySmall() {
	if os.Getenv("GOGC") == "" {
		(&tuner{calm: calm}).start()
	}
}

// tuner sets how often garbage is collected by how often it is.
type tuner struct {
	calm time.Duration

	mu   sync.Mutex
	last time.Time   // when garbage was collected
	busy *time.Timer // runs out when nothing more is collected; nil while idle
}

func (t *tuner) start() {
	debug.SetGCPercent(idlePercent)
	afterNext(t.collected)
}

func (t *tuner) collected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch {
	case t.busy != nil:
		t.busy.Reset(t.calm)
	case now.Sub(t.last) < hurry:
		debug.SetGCPercent(busyPercent)
		t.busy = time.AfterFunc(t.calm, t.rest)
	}
	t.last = now
	afterNext(t.collected)
}

func (t *tuner) rest() {
	t.mu.Lock()
	t.busy = nil
	debug.SetGCPercent(idlePercent)
	t.mu.Unlock()
	debug.FreeOSMemory()
}

const (
	usualPercent = 100
	// room is how much garbage gathers at least, in bytes, and leastUsed what a
	// process has in use at least.
	room, leastUsed = 32 << 20, 4 << 20
)

// LeaveRoom is for a process that answers requests all the time. As long as it
// has little in use, Go's own pace has it collect dozens of times a second, which
// costs a sixth of what it can do. So at least 32 MiB of garbage gather between
// two collections. When GOGC says how often, that holds; a memory limit does in
// any case.
func LeaveRoom() {
	if os.Getenv("GOGC") == "" {
		leaveRoom()
	}
}

func leaveRoom() {
	debug.SetGCPercent(roomyPercent(used()))
	afterNext(leaveRoom)
}

func roomyPercent(used uint64) int {
	return int(max(usualPercent, 100*room/max(used, leastUsed)))
}

// used is what the percentage is of, in bytes: what the last collection kept, and
// where it looked for what to keep.
func used() uint64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	var sum uint64
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}

// afterNext calls f after the next collection: the cleanup of this object shows
// that there was one.
func afterNext(f func()) {
	runtime.AddCleanup(new([16]byte), func(f func()) { go f() }, f)
}
