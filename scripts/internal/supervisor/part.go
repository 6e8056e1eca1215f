// Package supervisor runs the parts of a stack, each a process of its own: it starts them, waits until
// they serve, stops them in order, and notices when one ends without having been asked to.
package supervisor

import (
	"context"
	"sync"

	"example.com/todo/scripts/internal/proc"
)

// Part is one program of a stack.
type Part interface {
	Name() string
	// Prepare makes what the program needs before it starts. It is called before every start.
	Prepare(ctx context.Context) error
	// Command describes the program; the supervisor adds where its output goes.
	Command() (proc.Command, error)
	// Ready returns nil once the program serves; the error tells what is amiss.
	Ready(ctx context.Context) error
	// ReadyWhen names what Ready asks for, to end the sentence "waiting for …".
	ReadyWhen() string
}

// managedPart is a part and its process, if it runs.
type managedPart struct {
	Part
	transition sync.Mutex // held by whoever starts or stops the part
	process    *proc.Process
	stopping   bool // its end was asked for
}
