package checker

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// maxPoisonCrashes is how often one record may kill a process before it is a dead letter: five
// times alone, once in a batch, and two more for kills that coincide.
const maxPoisonCrashes = 8

// crashMatchWindow is the maximum time between an exit and the log entry of its failpoint.
const crashMatchWindow = 10 * time.Second

// exitCause is why a process ended.
type exitCause int

const (
	unexpectedExit exitCause = iota
	requestedExit
	failpointExit
	poisonExit
)

// classifyExits returns the cause of each exit. Each failpoint crash explains one exit.
func (ix *index) classifyExits() []exitCause {
	letters := ix.letters
	if ix.Replay.Done {
		letters = ix.replayedLetters
	}
	poisonBudget := map[string]int{} // by group: further exits that poison may cause
	for _, l := range letters {
		if strings.Contains(ix.poisonKinds[contentKey(l.Key, l.Value)], "kill") {
			poisonBudget[l.id.group] += maxPoisonCrashes
		}
	}
	crashes := slices.Clone(ix.Crashes)
	causes := make([]exitCause, len(ix.Exits))
	for i, exit := range ix.Exits {
		group := exit.Target[:max(0, strings.LastIndex(exit.Target, "-"))]
		crash := slices.IndexFunc(crashes, func(c history.Crash) bool {
			return c.Target == exit.Target && c.At.Sub(exit.At).Abs() < crashMatchWindow
		})
		switch {
		case exit.Requested:
			causes[i] = requestedExit
		case exit.Status != "signal: killed":
			causes[i] = unexpectedExit
		case crash >= 0:
			causes[i] = failpointExit
			crashes = slices.Delete(crashes, crash, crash+1)
		case poisonBudget[group] > 0:
			causes[i] = poisonExit
			poisonBudget[group]--
		}
	}
	return causes
}

// checkProcessExits reports processes that ended without a fault, a failpoint or poison.
func checkProcessExits(ix *index, found *violations) string {
	var by [poisonExit + 1]int
	for i, cause := range ix.classifyExits() {
		by[cause]++
		if exit := ix.Exits[i]; cause == unexpectedExit {
			found.add("%s: %s ended unexpectedly: %s", formatTime(exit.At), exit.Target, exit.Status)
		}
	}
	return sprintf("%d unexpected, %d requested by prove, %d at failpoints, %d by poison",
		by[unexpectedExit], by[requestedExit], by[failpointExit], by[poisonExit])
}
