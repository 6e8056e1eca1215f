package command

import (
	"errors"
	"os"
	"runtime/debug"
	"runtime/metrics"
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
		StaySmall()
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
	for percent() != busyPercent {
		garbage = make([]byte, 1<<20)
		if time.Now().After(deadline) {
			t.Fatalf("%d percent in a burst, want %d", percent(), busyPercent)
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
