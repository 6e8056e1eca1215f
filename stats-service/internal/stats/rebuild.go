package stats

import "errors"

// Why a rebuild may not touch the live count.
var (
	ErrLiveAhead = errors.New("stats: the live count has gone further than the rebuild")
	ErrLockLost  = errors.New("stats: the rebuild no longer holds its lock")
)

// Position is where the live count of a partition stands.
type Position struct {
	Offset int64
	Incarnation string // of the log that the offset belongs to; "" when it is not known
}

// SwapResult is what changed when a rebuild's count took the place of the live one.
type SwapResult struct {
	Before, After int64
	Days          []DayChange // those that differ, oldest first
	Unknown       bool        // what changed: the answer was lost
}

// DayChange is a day that the rebuild counted otherwise.
type DayChange struct {
	Day           string
	Before, After int64
}
