package checker

import (
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// maxPoisonCrashes is how often one record may kill a service's process until it is a dead
// letter: five times by itself, after it was found among others, with something to
// spare for a kill that meets it.
const maxPoisonCrashes = 8

// crashMatchWindow is how far a death and the note of its crash point may be apart.
const crashMatchWindow = 10 * time.Second

// exitCause is why a process died.
type exitCause int

const (
	unexpectedExit exitCause = iota
	requestedExit
	failpointExit
	poisonExit
)

// exitClassifier finds for each death why it happened, once.
type exitClassifier struct {
	crashes      []history.Crash
	matched      []bool
	poisonBudget map[string]int // by group: deaths that are left to it
}

func newExitClassifier(f *index) *exitClassifier {
	x := &exitClassifier{crashes: f.Crashes, matched: make([]bool, len(f.Crashes)), poisonBudget: map[string]int{}}
	letters := f.DLQ
	if f.Replay.Done {
		letters = f.Replay.DLQ
	}
	for i := range letters {
		if p := f.poison.find(letters[i].Key, letters[i].Value); p != nil && killsProcess(p.Kind) {
			x.poisonBudget[letters[i].Header("consumer-group")] += maxPoisonCrashes
		}
	}
	return x
}

func (x *exitClassifier) classify(d *history.ProcessExit) exitCause {
	if d.Requested {
		return requestedExit
	}
	if d.Status != "signal: killed" {
		return unexpectedExit
	}
	for i, c := range x.crashes {
		if !x.matched[i] && c.Target == d.Target && c.At.Sub(d.At).Abs() < crashMatchWindow {
			x.matched[i] = true
			return failpointExit
		}
	}
	group := d.Target[:max(0, strings.LastIndex(d.Target, "-"))]
	if x.poisonBudget[group] > 0 {
		x.poisonBudget[group]--
		return poisonExit
	}
	return unexpectedExit
}

// checkProcessExits looks for processes that ended and should not have.
func checkProcessExits(f *index) Check {
	var bad violations
	var by [poisonExit + 1]int
	explained := newExitClassifier(f)
	for i := range f.Exits {
		d := &f.Exits[i]
		why := explained.classify(d)
		by[why]++
		if why == unexpectedExit {
			bad.add("%s: %s ended by itself: %s", formatTime(d.At), d.Target, d.Status)
		}
	}
	return bad.check("deaths", "no service ends by itself",
		"%d by themselves, %d stopped by prove, %d at crash points, %d of poison",
		by[unexpectedExit], by[requestedExit], by[failpointExit], by[poisonExit])
}
