// Package lifecycle implements graceful shutdown: it runs the long-lived parts of a
// process and starts all of them at once. When the context ends, or when any part
// returns, it stops them stage by stage, in the order given.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Part is a long-lived component, such as a server or a consumer. Run blocks until ctx
// ends, finishes the work in flight, and returns.
type Part interface {
	Run(ctx context.Context) error
}

// Func adapts a function to a Part.
type Func func(ctx context.Context) error

// Run calls f.
func (f Func) Run(ctx context.Context) error { return f(ctx) }

// Stage is a set of parts that stop together.
type Stage []Part

// Run starts the parts of all stages concurrently and blocks until all have returned.
// When ctx ends, or when any part returns, it stops the stages in order: it cancels the
// context of a stage and waits for its parts before it stops the next one. The parts get
// the values of ctx.
//
// The error joins the errors of the parts. A panic in a part is an error. A part that
// returns context.Canceled after its stage was stopped has not failed.
func Run(ctx context.Context, stages ...Stage) error {
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	var mu sync.Mutex
	var errs []error
	var stops []func() // each cancels a stage and waits for its parts
	for _, stage := range stages {
		stageCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var parts sync.WaitGroup
		for _, part := range stage {
			parts.Go(func() {
				err := runPart(stageCtx, part)
				if stageCtx.Err() != nil && errors.Is(err, context.Canceled) {
					err = nil
				}
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
				stopAll()
			})
		}
		stops = append(stops, func() {
			cancel()
			parts.Wait()
		})
	}

	<-ctx.Done()
	for _, stop := range stops {
		stop()
	}
	return errors.Join(errs...)
}

func runPart(ctx context.Context, p Part) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{part: p, value: v, stack: debug.Stack()}
		}
	}()
	return p.Run(ctx)
}

// panicError is the error of a part that panicked. Its text is one line. Callers get the
// stack by errors.As with interface{ Stack() []byte }.
type panicError struct {
	part  Part
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic in %T: %v", e.part, e.value) }

// Stack returns the stack trace of the goroutine that panicked.
func (e *panicError) Stack() []byte { return e.stack }
