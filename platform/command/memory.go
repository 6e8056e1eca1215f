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

const (
	// idlePercent is how much the heap of an idle process grows between two
	// collections, in percent of what is in use: half of Go's own.
	idlePercent = 50
	// busyPercent is how much that of a busy one grows at least.
	busyPercent = 100
	// room is how much garbage gathers at least in a busy one, in bytes: a
	// collection costs what is in use, however soon it comes.
	room = 32 << 20
	// least is what a process has in use at least, in bytes.
	least = 4 << 20
)

const (
	// hurry is how soon one collection follows another when the process is busy.
	hurry = 500 * time.Millisecond
	// calm is how long without a collection the process must have been to be idle.
	calm = 10 * time.Second
)

// paceCollector keeps a process small while it has little to do, and lets it work
// when it has much: at Go's own pace, by which there may be as much garbage as
// there is in use, a small process collects dozens of times a second. What such a
// time leaves behind is given back. When GOGC says how often, that holds, and a
// memory limit does in any case.
func paceCollector() {
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
		t.busy = time.AfterFunc(t.calm, t.rest)
	}
	if t.busy != nil {
		debug.SetGCPercent(roomyPercent(used()))
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

func roomyPercent(used uint64) int {
	return int(max(busyPercent, 100*room/max(used, least)))
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
