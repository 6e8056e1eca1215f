package checker

import (
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

// exitClassifier finds the cause of each exit. Each failpoint crash explains one exit.
type exitClassifier struct {
	crashes      []history.Crash
	matched      []bool
	poisonBudget map[string]int // by group: further exits that poison may cause
}

func newExitClassifier(ix *index) *exitClassifier {
	x := &exitClassifier{crashes: ix.Crashes, matched: make([]bool, len(ix.Crashes)), poisonBudget: map[string]int{}}
	letters := ix.DLQ
	if ix.Replay.Done {
		letters = ix.Replay.DLQ
	}
	for i := range letters {
		if p := ix.poison.find(letters[i].Key, letters[i].Value); p != nil && killsProcess(p.Kind) {
			x.poisonBudget[letters[i].Header("consumer-group")] += maxPoisonCrashes
		}
	}
	return x
}

func (x *exitClassifier) classify(exit *history.ProcessExit) exitCause {
	if exit.Requested {
		return requestedExit
	}
	if exit.Status != "signal: killed" {
		return unexpectedExit
	}
	for i, c := range x.crashes {
		if !x.matched[i] && c.Target == exit.Target && c.At.Sub(exit.At).Abs() < crashMatchWindow {
			x.matched[i] = true
			return failpointExit
		}
	}
	group := exit.Target[:max(0, strings.LastIndex(exit.Target, "-"))]
	if x.poisonBudget[group] > 0 {
		x.poisonBudget[group]--
		return poisonExit
	}
	return unexpectedExit
}

// checkProcessExits reports processes that ended without a fault, a failpoint or poison.
func checkProcessExits(ix *index) Check {
	var found violations
	var by [poisonExit + 1]int
	classifier := newExitClassifier(ix)
	for i := range ix.Exits {
		exit := &ix.Exits[i]
		cause := classifier.classify(exit)
		by[cause]++
		if cause == unexpectedExit {
			found.add("%s: %s ended unexpectedly: %s", formatTime(exit.At), exit.Target, exit.Status)
		}
	}
	return found.check("process-exits", "no service ends by itself",
		"%d unexpected, %d requested by prove, %d at failpoints, %d by poison",
		by[unexpectedExit], by[requestedExit], by[failpointExit], by[poisonExit])
}
