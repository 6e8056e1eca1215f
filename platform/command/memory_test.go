package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestAProcessKeepsWithinTheMemoryItIsGrantedUnlessGOMEMLIMITSaysOtherwise(t *testing.T) {
	const none = int64(1) << 40
	for name, test := range map[string]struct {
		said    bool // by GOMEMLIMIT, which the runtime heeds by itself
		granted memlimit.Provider
		want    int64
	}{
		"a limit":                 {false, memlimit.Limit(1000 << 20), 900 << 20},
		"no limit":                {false, func() (uint64, error) { return 0, memlimit.ErrNoLimit }, none},
		"a limit nobody reads":    {false, func() (uint64, error) { return 0, errors.New("no such file") }, none},
		"a limit, and GOMEMLIMIT": {true, memlimit.Limit(1000 << 20), none},
	} {
		t.Setenv("GOMEMLIMIT", "")
		if !test.said {
			os.Unsetenv("GOMEMLIMIT")
		}
		before := debug.SetMemoryLimit(none)
		heedMemory(test.granted)
		if got := debug.SetMemoryLimit(before); got != test.want {
			t.Errorf("%s: %d bytes, want %d", name, got, test.want)
		}
	}
}

func percent() uint64 { return read("/gc/gogc:percent") }

var garbage []byte

func TestABurstIsCollectedSparinglyAndLeavesASmallHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	(&tuner{calm: 100 * time.Millisecond}).start()
	deadline := time.Now().Add(20 * time.Second)
	for percent() < busyPercent {
		garbage = make([]byte, 1<<20)
		if time.Now().After(deadline) {
			t.Fatalf("%d percent in a burst, want %d or more", percent(), busyPercent)
		}
	}
	garbage = nil
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for percent() != idlePercent {
		if time.Now().After(deadline) {
			t.Fatalf("%d percent after the burst, want %d", percent(), idlePercent)
		}
		<-ticker.C
	}
}

// TestAProcessIsSmallWhenIdleAndLeavesRoomWhenBusy has processes of its own, because
// there is one collector for a process.
func TestAProcessIsSmallWhenIdleAndLeavesRoomWhenBusy(t *testing.T) {
	const inUse = "TEST_MEBIBYTES_IN_USE"
	if text := os.Getenv(inUse); text != "" {
		mebibytes, _ := strconv.Atoi(text)
		used := make([]byte, mebibytes<<20)
		paceCollector()
		idle, busy := percent(), uint64(0)
		for range 20 { // fast enough to be busy; each time the pace is set anew, at about the time at which collected is closed
			for range 16 { // one at a time is kept, however a collection meets them
				garbage = make([]byte, 1<<20)
			}
			collected := make(chan struct{})
			afterNext(func() { close(collected) })
			runtime.GC()
			<-collected
			busy = read("/gc/heap/goal:bytes")
		}
		runtime.KeepAlive(used)
		fmt.Printf("idle at %d percent, busy up to %d MiB\n", idle, busy>>20)
		return
	}
	for name, test := range map[string]struct {
		env         []string
		idle        int // percent
		least, most int // MiB, when busy
	}{
		"little in use":              {[]string{inUse + "=1"}, idlePercent, 32, 40},
		"much in use":                {[]string{inUse + "=100"}, idlePercent, 200, 208},
		"little in use, and GOGC":    {[]string{inUse + "=1", "GOGC=100"}, 100, 4, 6},
		"little in use, and a limit": {[]string{inUse + "=1", "GOMEMLIMIT=16MiB"}, idlePercent, 4, 16},
	} {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), test.env...)
		out, err := child.CombinedOutput()
		var idle, busy int
		_, scanErr := fmt.Sscanf(string(out), "idle at %d percent, busy up to %d MiB", &idle, &busy)
		if err != nil || scanErr != nil || idle != test.idle || busy < test.least || busy > test.most {
			t.Errorf("%s: want %d percent, then %d to %d MiB, got error %v and %s", name, test.idle, test.least, test.most, err, out)
		}
	}
}
