package runner

import (
	"context"
	"time"
)

const tellEvery = 3 * time.Second

// progress tells every few seconds how far the run is.
func (t *trial) progress(ctx context.Context) {
	for {
		wait(ctx, tellEvery)
		if ctx.Err() != nil {
			return
		}
		t.mu.Lock()
		phase := t.phase
		t.mu.Unlock()
		if during := t.ledger.During(); during != "" {
			phase = during
		}
		faults, crashes, _ := t.ledger.Facts()
		t.Tell("%4.0f s  %-34s %7d of %d changes, %3d in flight, %4d behind, %3d faults, %3d crashes",
			time.Since(t.began).Seconds(), phase, t.workload.Made(), t.calls(), t.workload.InFlight(),
			t.behind(ctx, false), len(faults), len(crashes))
	}
}
