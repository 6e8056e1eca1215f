// Package supervisor runs the parts of a system, each a process of its own: it starts them, waits until
// they are ready, stops them in order, and restarts those that exited, or reports their exit.
//
//	           Start                    ready
//	stopped ──────────> running ──────────────────> Start returns
//	   ^                 │   │ exit without a stop
//	   │ Stop, Halt      │   ├─ otherwise:      stopped, UnexpectedExits delivers it
//	   └─────────────────┘   └─ Config.Restart: running again
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// stopShares divides StopTimeout: StopAll keeps one share for each part that is still to be stopped.
const stopShares = 9

// Part describes one program of a system.
type Part struct {
	Name      string
	Prepare   func(ctx context.Context) error // if not nil: called before every start, to create what the program needs
	Command   func() (proc.Command, error)    // describes the program; the supervisor sets its output
	Ready     func(ctx context.Context) error // returns nil if the program is ready, otherwise the reason why it is not
	ReadyWhen string                          // the condition of Ready, to end the sentence "waiting for …"
}

// Config configures a Supervisor or a Unit.
type Config struct {
	Launcher    *proc.Launcher
	Console     *console.Console
	LogDir      string        // the output of a part goes to <name>.log in it
	Shown       []string      // parts whose output is also shown on the console
	StopTimeout time.Duration // of Stop, and of StopAll for all parts together
	Restart     bool          // a part that exited without a stop starts again
	OnExit      func(Exit)    // if not nil: called after each exit, from several goroutines
}

// Supervisor runs the parts of a system. Its methods are safe for concurrent use.
type Supervisor struct {
	stopTimeout time.Duration
	units       []*Unit
	exits       chan *UnexpectedExit
}

// New returns a Supervisor for parts that do not run yet. StopAll stops them in the reverse order.
func New(cfg Config, parts ...Part) *Supervisor {
	s := &Supervisor{stopTimeout: cfg.StopTimeout, exits: make(chan *UnexpectedExit, 1)}
	for _, p := range parts {
		unit := NewUnit(cfg, p)
		unit.exits = s.exits
		s.units = append(s.units, unit)
	}
	return s
}

// Units returns the parts in the order of New.
func (s *Supervisor) Units() []*Unit { return s.units }

// UnexpectedExits delivers the first part that exited without a stop and is not restarted.
func (s *Supervisor) UnexpectedExits() <-chan *UnexpectedExit { return s.exits }

// Start calls Unit.Start of a part.
func (s *Supervisor) Start(ctx context.Context, name string) error {
	unit, err := s.find(name)
	if err != nil {
		return err
	}
	return unit.Start(ctx)
}

// StartAll starts the parts in parallel and returns when all are ready, or with the first error.
func (s *Supervisor) StartAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, unit := range s.units {
		group.Go(func() error { return unit.Start(ctx) })
	}
	return group.Wait()
}

// Stop calls Unit.Stop of a part; the others go on.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	unit, err := s.find(name)
	if err != nil {
		return err
	}
	return unit.Stop(ctx)
}

// StopAll stops every part for good, the last one first, within StopTimeout, even after the end of ctx. The
// error names the parts that exceeded their share of the time and were killed.
func (s *Supervisor) StopAll(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	end := time.Now().Add(s.stopTimeout)
	var failed []error
	for i, unit := range slices.Backward(s.units) {
		limited, cancel := context.WithDeadline(ctx, end.Add(-time.Duration(i)*s.stopTimeout/stopShares))
		failed = append(failed, unit.Close(limited))
		cancel()
	}
	return errors.Join(failed...)
}

func (s *Supervisor) find(name string) (*Unit, error) {
	var names []string
	for _, unit := range s.units {
		if unit.Name == name {
			return unit, nil
		}
		names = append(names, unit.Name)
	}
	return nil, fmt.Errorf("there is no part %q: the parts are %s", name, strings.Join(names, ", "))
}
