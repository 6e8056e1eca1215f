package stats

import "errors"

// Why a rebuild may not touch the live count.
var (
	ErrBehind   = errors.New("stats: the live count has gone further than the rebuild")
	ErrUnlocked = errors.New("stats: the rebuild no longer holds its lock")
)

// Swap is what changed when a rebuild's count took the place of the live one.
type Swap struct {
	Before, After int64
	Days          []Change // those that differ, oldest first
	Unknown       bool     // what changed: the answer was lost
}

// Change is a day that the rebuild counted otherwise.
type Change struct {
	Day           string
	Before, After int64
}
