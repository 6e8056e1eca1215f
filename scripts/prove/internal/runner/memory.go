package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
)

const sampleInterval = 2 * time.Second

// memorySampler samples the resident memory of the services' processes.
type memorySampler struct {
	mu      sync.Mutex
	samples []history.MemorySample
}

func (m *memorySampler) sample(ctx context.Context, c *cluster.Cluster, recorder *faults.Recorder) {
	for ctx.Err() == nil {
		during := recorder.During()
		for _, node := range c.Nodes() {
			if cluster.IsServer(node.Name()) {
				continue
			}
			if resident := node.ResidentBytes(); resident > 0 {
				m.mu.Lock()
				m.samples = append(m.samples, history.MemorySample{Target: node.Name(), At: time.Now(), Resident: resident, During: during})
				m.mu.Unlock()
			}
		}
		retry.Wait(ctx, sampleInterval)
	}
}

func (m *memorySampler) collected() []history.MemorySample {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.samples)
}
