package command

import (
	"errors"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryLimitIsAShareOfTheCgroupsUnlessGOMEMLIMITIsSet(t *testing.T) {
	const none = int64(1) << 40
	for name, test := range map[string]struct {
		fromEnv bool // GOMEMLIMIT is set; the runtime itself reads it
		granted memlimit.Provider
		want    int64
	}{
		"a limit":                 {false, memlimit.Limit(1000 << 20), 900 << 20},
		"no limit":                {false, func() (uint64, error) { return 0, memlimit.ErrNoLimit }, none},
		"an unreadable limit":     {false, func() (uint64, error) { return 0, errors.New("no such file") }, none},
		"a limit, and GOMEMLIMIT": {true, memlimit.Limit(1000 << 20), none},
	} {
		t.Setenv("GOMEMLIMIT", "")
		if !test.fromEnv {
			os.Unsetenv("GOMEMLIMIT")
		}
		before := debug.SetMemoryLimit(none)
		setMemoryLimit(test.granted)
		if got := debug.SetMemoryLimit(before); got != test.want {
			t.Errorf("%s: %d bytes, want %d", name, got, test.want)
		}
	}
}

func TestGCPercentIsSetUnlessGOGCIs(t *testing.T) {
	for env, want := range map[string]int{"": gcPercent, "70": 100} {
		t.Setenv("GOGC", env)
		before := debug.SetGCPercent(100)
		setGCPercent()
		if got := debug.SetGCPercent(before); got != want {
			t.Errorf("GOGC=%q: %d percent, want %d", env, got, want)
		}
	}
}
