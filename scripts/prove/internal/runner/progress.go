package runner

import (
	"context"
	"time"

	"example.com/todo/platform/retry"
)

const progressInterval = 3 * time.Second

// reportProgress prints a line every progressInterval until ctx ends.
func (e *experiment) reportProgress(ctx context.Context) {
	for {
		retry.Wait(ctx, progressInterval)
		if ctx.Err() != nil {
			return
		}
		e.mu.Lock()
		phase := e.phase
		e.mu.Unlock()
		if during := e.recorder.During(); during != "" {
			phase = during
		}
		faults, crashes, _ := e.recorder.Recorded()
		e.Printf("%4.0f s  %-34s %7d of %d changes, %3d in flight, %4d behind, %3d faults, %3d crashes",
			time.Since(e.startedAt).Seconds(), phase, e.workload.Finished(), e.plannedCalls(), e.workload.InFlight(),
			e.backlog(ctx, false), len(faults), len(crashes))
	}
}
