package checker

import (
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// mercy is how often one record may kill a service's process until it is a dead
// letter: five times by itself, after it was found among others, with something to
// spare for a kill that meets it.
const mercy = 8

// nearby is how far a death and the note of its crash point may be apart.
const nearby = 10 * time.Second

// explanation is why a process died.
type explanation int

const (
	byItself explanation = iota
	asked
	atCrashPoint
	byPoison
)

// explanations finds for each death why it happened, once.
type explanations struct {
	crashes []history.Crash
	used    []bool
	poison  map[string]int // by group: deaths that are left to it
}

func newExplanations(f *facts) *explanations {
	x := &explanations{crashes: f.Crashes, used: make([]bool, len(f.Crashes)), poison: map[string]int{}}
	letters := f.DLQ
	if f.Again.Done {
		letters = f.Again.DLQ
	}
	for i := range letters {
		if p := f.poison.like(letters[i].Key, letters[i].Value); p != nil && kills(p.Kind) {
			x.poison[letters[i].Header("consumer-group")] += mercy
		}
	}
	return x
}

func (x *explanations) of(d *history.Death) explanation {
	if d.Asked {
		return asked
	}
	if d.Status != "signal: killed" {
		return byItself
	}
	for i, c := range x.crashes {
		if !x.used[i] && c.Target == d.Target && c.At.Sub(d.At).Abs() < nearby {
			x.used[i] = true
			return atCrashPoint
		}
	}
	group := d.Target[:max(0, strings.LastIndex(d.Target, "-"))]
	if x.poison[group] > 0 {
		x.poison[group]--
		return byPoison
	}
	return byItself
}

// deaths looks for processes that ended and should not have.
func deaths(f *facts) Row {
	var bad findings
	var by [byPoison + 1]int
	explained := newExplanations(f)
	for i := range f.Deaths {
		d := &f.Deaths[i]
		why := explained.of(d)
		by[why]++
		if why == byItself {
			bad.add("%s: %s ended by itself: %s", stamp(d.At), d.Target, d.Status)
		}
	}
	return bad.row("deaths", "no service ends by itself",
		"%d by themselves, %d stopped by prove, %d at crash points, %d of poison",
		by[byItself], by[asked], by[atCrashPoint], by[byPoison])
}
