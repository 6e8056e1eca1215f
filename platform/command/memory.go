package command

import (
	"os"
	"runtime/debug"
)

// idlePercent is how much the heap grows between two collections, in percent of
// what is in use; Go's own is 100.
const idlePercent = 50

// StaySmall makes the process collect garbage twice as often as usual, unless
// GOGC says how often. It is for one that is idle between bursts, each of which
// would leave behind a heap that it has no use for.
func StaySmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(idlePercent)
	}
}
