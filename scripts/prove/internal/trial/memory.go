package trial

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/evidence"
	"example.com/todo/scripts/prove/internal/fault"
	"example.com/todo/scripts/prove/internal/system"
)

const sampleEvery = 2 * time.Second

// memory is what the services' processes held, looked at from time to time.
type memory struct {
	mu      sync.Mutex
	samples []evidence.Memory
}

func (m *memory) sample(ctx context.Context, s *system.System, ledger *fault.Ledger) {
	for ctx.Err() == nil {
		during := ledger.During()
		for _, member := range s.Members() {
			if system.IsServer(member.Name()) {
				continue
			}
			if resident := member.Resident(); resident > 0 {
				m.mu.Lock()
				m.samples = append(m.samples, evidence.Memory{Target: member.Name(), At: time.Now(), Resident: resident, During: during})
				m.mu.Unlock()
			}
		}
		wait(ctx, sampleEvery)
	}
}

func (m *memory) all() []evidence.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.samples)
}
