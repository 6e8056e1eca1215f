// Package supervisor runs the parts of a system, each a process of its own: it starts them, waits until
// they are ready, stops them in order, and reacts to exits by its restart policy.
//
//	           Start                    ready
//	stopped ──────────> running ──────────────────> Start returns
//	   ^                 │   │ exit without a stop
//	   │ Stop, Halt      │   ├─ RestartNever:  stopped, UnexpectedExits delivers it
//	   └─────────────────┘   └─ RestartAlways: running again
package supervisor

import (
	"context"
	"sync"

	"example.com/todo/scripts/internal/proc"
)

// Part is one program of a system.
type Part interface {
	Name() string
	// Prepare creates what the program needs. It is called before every start.
	Prepare(ctx context.Context) error
	// Command describes the program; the supervisor sets its output.
	Command() (proc.Command, error)
	// Ready returns nil if the program is ready, otherwise the reason why it is not.
	Ready(ctx context.Context) error
	// ReadyWhen names the condition of Ready, to end the sentence "waiting for …".
	ReadyWhen() string
}

// managedPart is a part and its process. Supervisor.mu guards all but transition.
type managedPart struct {
	Part
	transition sync.Mutex // held during Start and Stop
	wanted     bool       // started and not stopped
	generation int        // of wanted: each change raises it, and ends the restarts of the generation before
	requested  bool       // the supervisor ends the process
	process    *proc.Process
	cleared    chan struct{} // closed after the exit of process
}
