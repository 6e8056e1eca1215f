package faults

import (
	"slices"
	"strings"
	"sync"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

// Ledger is where it is written down what was done to the system, and which of its processes ended. Its
// methods may be called from several goroutines.
type Ledger struct {
	mu       sync.Mutex
	faults   []history.Fault
	crashes  []history.Crash
	deaths   []history.Death
	stage    string
	current  []string
	watchers []chan<- cluster.End
}

// Fault writes down a fault.
func (l *Ledger) Fault(f history.Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, f)
}

// End writes down the end of a process.
func (l *Ledger) End(e cluster.End) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !cluster.IsServer(e.Member) {
		l.deaths = append(l.deaths, history.Death{
			Target: e.Member, At: e.At, Status: e.Status, Asked: e.Asked && e.Point == "",
		})
	}
	if e.Point != "" {
		l.crashes = append(l.crashes, history.Crash{Point: e.Point, Target: e.Member, InHand: e.InHand, At: e.At})
	}
	for _, w := range l.watchers {
		select {
		case w <- e:
		default: // it looks at what the ledger says
		}
	}
}

// Facts are what was written down so far.
func (l *Ledger) Facts() (faults []history.Fault, crashes []history.Crash, deaths []history.Death) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults), slices.Clone(l.crashes), slices.Clone(l.deaths)
}

// During names the stage, and the faults that last now.
func (l *Ledger) During() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append([]string{l.stage}, l.current...), ", ")
}

func (l *Ledger) enter(stage string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stage = stage
}

// begin notes a fault that lasts until the returned function is called.
func (l *Ledger) begin(what string) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = append(l.current, what)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		i := slices.Index(l.current, what)
		l.current = slices.Delete(l.current, i, i+1)
	}
}

// watch delivers every end from now on, until the returned function is called.
func (l *Ledger) watch() (ends <-chan cluster.End, stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan cluster.End, 100)
	l.watchers = append(l.watchers, c)
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watchers = slices.DeleteFunc(l.watchers, func(w chan<- cluster.End) bool { return w == c })
	}
}
