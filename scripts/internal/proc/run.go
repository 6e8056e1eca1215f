package proc

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// stopTimeout is how long a program that runs to its end may take to stop when it is cancelled.
const stopTimeout = 2 * time.Second

// Run starts the program that c describes and waits for its end. When ctx ends first, the program is
// stopped and the error is the context's. A command without a Stdout has what it printed in the error.
func (l *Launcher) Run(ctx context.Context, c Command) error {
	var output bytes.Buffer
	if c.Stdout == nil {
		c.Stdout, c.Stderr = &output, &output
	}
	p, err := l.Start(c)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = p.Stop(limit) // that it had to be killed adds nothing to the cancellation
		return context.Cause(ctx)
	}
	if p.Err() != nil {
		return fmt.Errorf("%s: %w\n%s", c.Path, p.Err(), strings.TrimSpace(output.String()))
	}
	return nil
}
