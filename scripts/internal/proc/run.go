package proc

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// stopTimeout bounds the shutdown of a program whose Run is cancelled; then it is killed.
const stopTimeout = 2 * time.Second

// Run starts a program and returns after its exit. If ctx ends first, it stops the program and returns the
// cause of ctx. The error of a command without a Stdout contains its output.
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
		_ = p.Stop(limit) // the caller gets the cause of the cancellation instead
		return context.Cause(ctx)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", c.Path, p.err, strings.TrimSpace(output.String()))
	}
	return nil
}
