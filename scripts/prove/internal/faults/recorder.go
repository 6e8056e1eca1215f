package faults

import (
	"slices"
	"strings"
	"sync"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

// Recorder records the injected faults and the processes that exited. It is safe for concurrent
// use.
type Recorder struct {
	mu          sync.Mutex
	faults      []history.Fault
	crashes     []history.Crash
	exits       []history.ProcessExit
	stage       string
	current     []string
	subscribers []chan<- cluster.Exit
}

// RecordFault adds a fault.
func (l *Recorder) RecordFault(f history.Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, f)
}

// RecordExit adds an exit, and a crash if the process died at a failpoint.
func (l *Recorder) RecordExit(e cluster.Exit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !cluster.IsServer(e.Node) {
		l.exits = append(l.exits, history.ProcessExit{
			Target: e.Node, At: e.At, Status: e.Status, Requested: e.Requested && e.Failpoint == "",
		})
	}
	if e.Failpoint != "" {
		l.crashes = append(l.crashes, history.Crash{Failpoint: e.Failpoint, Target: e.Node, InFlight: e.InFlight, At: e.At})
	}
	for _, w := range l.subscribers {
		select {
		case w <- e:
		default: // a slow subscriber misses the exit; Recorded has it
		}
	}
}

// Recorded returns copies of what was recorded so far.
func (l *Recorder) Recorded() (faults []history.Fault, crashes []history.Crash, deaths []history.ProcessExit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.faults), slices.Clone(l.crashes), slices.Clone(l.exits)
}

// During names the stage and the faults in progress.
func (l *Recorder) During() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append([]string{l.stage}, l.current...), ", ")
}

func (l *Recorder) setStage(stage string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stage = stage
}

// startFault shows a fault as in progress until the caller calls done.
func (l *Recorder) startFault(what string) (done func()) {
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

// subscribe delivers every exit from now on, until the caller calls stop.
func (l *Recorder) subscribe() (ends <-chan cluster.Exit, stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan cluster.Exit, 100)
	l.subscribers = append(l.subscribers, c)
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.subscribers = slices.DeleteFunc(l.subscribers, func(w chan<- cluster.Exit) bool { return w == c })
	}
}
