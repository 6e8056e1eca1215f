package command

import (
	"runtime/debug"
	"testing"
)

func TestAProcessStaysSmallUnlessGOGCSaysOtherwise(t *testing.T) {
	for gogc, want := range map[string]int{"": idlePercent, "300": 100} {
		t.Setenv("GOGC", gogc)
		before := debug.SetGCPercent(100)
		StaySmall()
		if got := debug.SetGCPercent(before); got != want {
			t.Errorf("GOGC=%q: %d percent, want %d", gogc, got, want)
		}
	}
}
