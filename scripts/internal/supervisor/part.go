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
	"time"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

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
