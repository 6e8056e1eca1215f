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
	// busyRate is how much a busy process allocates at least, in bytes a second, and
	// idleRate what an idle one does at most.
	busyRate, idleRate = 16 << 20, 8 << 20
	// calm is how long after a collection it is seen whether the process is idle.
	calm = 5 * time.Second
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

// tuner sets how often garbage is collected by how fast it is made.
type tuner struct {
	calm time.Duration

	mu        sync.Mutex
	collected time.Time   // the last time
	allocated uint64      // bytes, until then
	busy      *time.Timer // runs out when nothing more is collected; nil while idle
}

func (t *tuner) start() {
	t.collected, t.allocated = time.Now(), allocated()
	debug.SetGCPercent(idlePercent)
	afterNext(t.see)
}

// see sets the pace after a collection.
func (t *tuner) see() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.busy != nil:
		t.busy.Reset(t.calm)
	case t.rate() >= busyRate:
		t.busy = time.AfterFunc(t.calm, t.rest)
	}
	if t.busy != nil {
		debug.SetGCPercent(roomyPercent(used()))
	}
	t.collected, t.allocated = time.Now(), allocated()
	afterNext(t.see)
}

// rest makes the process small again, unless it still is at work: in a large heap
// much gathers before a collection.
func (t *tuner) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil { // it ran out twice, because of a collection just then
		return
	}
	if t.rate() > idleRate {
		t.busy.Reset(t.calm)
		return
	}
	t.busy = nil
	debug.SetGCPercent(idlePercent)
	debug.FreeOSMemory()
}

// rate is how much was allocated in a second since the last collection, in bytes.
func (t *tuner) rate() float64 {
	return float64(allocated()-t.allocated) / time.Since(t.collected).Seconds()
}

func roomyPercent(used uint64) int {
	return int(max(busyPercent, 100*room/max(used, least)))
}

// used is what the percentage is of, in bytes: what the last collection kept, and
// where it looked for what to keep.
func used() uint64 {
	return read("/gc/heap/live:bytes") + read("/gc/scan/stack:bytes") + read("/gc/scan/globals:bytes")
}

func allocated() uint64 { return read("/gc/heap/allocs:bytes") }

func read(metric string) uint64 {
	sample := []metrics.Sample{{Name: metric}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// afterNext calls f after the next collection: the cleanup of this object shows
// that there was one.
func afterNext(f func()) {
	runtime.AddCleanup(new([16]byte), func(f func()) { go f() }, f)
}
