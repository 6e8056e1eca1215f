// Package lifecycle runs the long-lived parts of a process and stops them in order.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Part is something long-lived. Run blocks; when ctx ends it finishes what it
// holds and returns.
type Part interface {
	Run(ctx context.Context) error
}

// Func makes a Part of a function.
type Func func(ctx context.Context) error

// Run calls f.
func (f Func) Run(ctx context.Context) error { return f(ctx) }

// Stage is a set of parts that are stopped together.
type Stage []Part

// Run starts every part of every stage at once and blocks until all have
// returned. When ctx ends, or when any part returns, it stops the stages in the
// order given, each after all parts of the one before have returned.
//
// The error joins what the parts returned; context.Canceled from a part that
// was told to stop is no error, a panic in a part is one.
func Run(ctx context.Context, stages ...Stage) error {
	var (
		mu            sync.Mutex
		errs          []error
		once          sync.Once
		returnedEarly = make(chan struct{})
		running       = make([]activeStage, len(stages))
	)
	for i, stage := range stages {
		s := &running[i]
		s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
		for _, part := range stage {
			s.parts.Go(func() {
				err := runPart(s.ctx, part)
				if s.ctx.Err() != nil && errors.Is(err, context.Canceled) {
					err = nil
				}
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
				once.Do(func() { close(returnedEarly) })
			})
		}
	}

	select {
	case <-ctx.Done():
	case <-returnedEarly:
	}
	for i := range running {
		running[i].stop()
		running[i].parts.Wait()
	}
	return errors.Join(errs...)
}

type activeStage struct {
	ctx   context.Context
	stop  context.CancelFunc
	parts sync.WaitGroup
}

func runPart(ctx context.Context, p Part) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{part: p, value: v, stack: debug.Stack()}
		}
	}()
	return p.Run(ctx)
}

// panicError is the error of a part that panicked. Its text is one line; the caller of
// Run finds the trace by errors.As.
type panicError struct {
	part  Part
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %T: %v", e.part, e.value) }

// Stack is the trace of the goroutine that panicked.
func (e *panicError) Stack() []byte { return e.stack }
