// Package lifecycle stub.
package lifecycle

import "context"

type Part interface {
	Run(ctx context.Context) error
}

type Func func(ctx context.Context) error

func (f Func) Run(ctx context.Context) error { return f(ctx) }

type Stage []Part

func Run(ctx context.Context, stages ...Stage) error { panic("soon") }
