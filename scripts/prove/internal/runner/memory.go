package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
)

const sampleEvery = 2 * time.Second

// memory is what the services' processes held, looked at from time to time.
type memory struct {
	mu      sync.Mutex
	samples []history.Memory
}

func (m *memory) sample(ctx context.Context, s *cluster.System, ledger *faults.Ledger) {
	for ctx.Err() == nil {
		during := ledger.During()
		for _, member := range s.Members() {
			if cluster.IsServer(member.Name()) {
				continue
			}
			if resident := member.Resident(); resident > 0 {
				m.mu.Lock()
				m.samples = append(m.samples, history.Memory{Target: member.Name(), At: time.Now(), Resident: resident, During: during})
				m.mu.Unlock()
			}
		}
		wait(ctx, sampleEvery)
	}
}

func (m *memory) all() []history.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.samples)
}
