package redisstore

import "time"

// Patience is for a test machine that is busy with other things: Redis is away
// only when it has not answered for so long.
const Patience = 10 * time.Second

// BePatient makes callers wait long for Redis.
func (s *Shuttle) BePatient() { s.timeout = Patience }

// Suspect makes subscriptions doubt a connection that is silent for so long.
func (f *Feed) Suspect(after time.Duration) { f.quiet = after }

// Waiting returns how many callers wait for the next trip.
func (s *Shuttle) Waiting() (callers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		for _, p := range s.next.parcels {
			callers += p.callers
		}
	}
	return callers
}
