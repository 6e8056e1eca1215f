package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
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

func percent() uint64 {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func TestAProcessStaysSmallUnlessGOGCSaysOtherwise(t *testing.T) {
	for gogc, want := range map[string]uint64{"": idlePercent, "300": 100} {
		t.Setenv("GOGC", gogc)
		before := debug.SetGCPercent(100)
		paceCollector()
		if got := percent(); got != want {
			t.Errorf("GOGC=%q: %d percent, want %d", gogc, got, want)
		}
		debug.SetGCPercent(before)
	}
}

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

// TestInABurstGarbageGathersUpToTheRoomHoweverLittleIsInUse has processes of its
// own, because there is one collector for a process.
func TestInABurstGarbageGathersUpToTheRoomHoweverLittleIsInUse(t *testing.T) {
	const inUse = "TEST_MEBIBYTES_IN_USE"
	if text := os.Getenv(inUse); text != "" {
		mebibytes, _ := strconv.Atoi(text)
		used := make([]byte, mebibytes<<20)
		paceCollector()
		for range 20 { // each time the pace is set anew, at about the time at which collected is closed
			collected := make(chan struct{})
			afterNext(func() { close(collected) })
			runtime.GC()
			<-collected
			fmt.Println("collects at", heapGoal()>>20, "MiB")
		}
		runtime.KeepAlive(used)
		return
	}
	for name, test := range map[string]struct {
		env         []string
		least, most int // MiB
	}{
		"little in use":              {[]string{inUse + "=1"}, 32, 40},
		"much in use":                {[]string{inUse + "=100"}, 200, 208},
		"little in use, and GOGC":    {[]string{inUse + "=1", "GOGC=100"}, 4, 6},
		"little in use, and a limit": {[]string{inUse + "=1", "GOMEMLIMIT=16MiB"}, 4, 16},
	} {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), test.env...)
		out, err := child.CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		last := lines[max(0, len(lines)-2)] // before "PASS"
		var got int
		if _, scanErr := fmt.Sscanf(last, "collects at %d MiB", &got); err != nil || scanErr != nil || got < test.least || got > test.most {
			t.Errorf("%s: want %d to %d, got %v:\n%s", name, test.least, test.most, err, out)
		}
	}
}

func heapGoal() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
