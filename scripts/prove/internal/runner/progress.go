package runner

import (
	"context"
	"time"

	"example.com/todo/platform/retry"
)

const progressInterval = 3 * time.Second

// reportProgress prints a line every progressInterval until ctx ends.
func (t *experiment) reportProgress(ctx context.Context) {
	for {
		retry.Wait(ctx, progressInterval)
		if ctx.Err() != nil {
			return
		}
		t.mu.Lock()
		phase := t.phase
		t.mu.Unlock()
		if during := t.recorder.During(); during != "" {
			phase = during
		}
		faults, crashes, _ := t.recorder.Recorded()
		t.Printf("%4.0f s  %-34s %7d of %d changes, %3d in flight, %4d behind, %3d faults, %3d crashes",
			time.Since(t.startedAt).Seconds(), phase, t.workload.Finished(), t.plannedCalls(), t.workload.InFlight(),
			t.backlog(ctx, false), len(faults), len(crashes))
	}
}
