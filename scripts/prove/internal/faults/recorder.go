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
	mu      sync.Mutex
	faults  []history.Fault
	crashes []history.Crash
	exits   []history.ProcessExit
	shares  []history.Share
	stage   string
	current []string
}

// RecordExit adds an exit, and a crash if the process died at a failpoint.
func (r *Recorder) RecordExit(e cluster.Exit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !cluster.IsServer(e.Node) {
		r.exits = append(r.exits, history.ProcessExit{
			Target: e.Node, At: e.At, Status: e.Status, Requested: e.Requested && e.Failpoint == "",
		})
	}
	if e.Failpoint != "" {
		r.crashes = append(r.crashes, history.Crash{Failpoint: e.Failpoint, Target: e.Node, InFlight: e.InFlight, At: e.At})
	}
}

// Recorded returns copies of what was recorded so far.
func (r *Recorder) Recorded() (faults []history.Fault, crashes []history.Crash, exits []history.ProcessExit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults), slices.Clone(r.crashes), slices.Clone(r.exits)
}

// Shares returns what the replicas did during the last Measure step.
func (r *Recorder) Shares() []history.Share {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.shares)
}

func (r *Recorder) recordShares(shares []history.Share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shares = shares
}

// During names the stage and the faults in progress.
func (r *Recorder) During() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(append([]string{r.stage}, r.current...), ", ")
}

// SetStage names what the run does, for During.
func (r *Recorder) SetStage(stage string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage = stage
}

// startFault shows a fault as in progress until the caller records it by done.
func (r *Recorder) startFault(what string) (done func(history.Fault)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = append(r.current, what)
	return func(f history.Fault) {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.Index(r.current, what)
		r.current = slices.Delete(r.current, i, i+1)
		r.faults = append(r.faults, f)
	}
}
