package runner

import (
	"context"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

const (
	progressInterval = 3 * time.Second
	sampleInterval   = 2 * time.Second
)

// reportProgress prints a line every progressInterval until ctx ends.
func (e *experiment) reportProgress(ctx context.Context) {
	for retry.Wait(ctx, progressInterval) {
		faults, crashes, _ := e.recorder.Recorded()
		e.Printf("%4.0f s  %-34s %7d of %d changes, %3d in flight, %4d behind, %3d faults, %3d crashes",
			time.Since(e.startedAt).Seconds(), e.recorder.During(), e.workload.Finished(), e.plannedCalls(), e.workload.InFlight(),
			e.backlog(ctx, false), len(faults), len(crashes))
	}
}

// sampleMemory samples the resident memory of the services' processes until ctx ends.
func (e *experiment) sampleMemory(ctx context.Context) {
	for retry.Wait(ctx, sampleInterval) {
		for _, node := range e.cluster.Nodes() {
			resident := node.ResidentBytes()
			if cluster.IsServer(node.Name()) || resident == 0 {
				continue
			}
			e.mu.Lock()
			e.memory = append(e.memory, history.MemorySample{Target: node.Name(), At: time.Now(), Resident: resident})
			e.mu.Unlock()
		}
	}
}
