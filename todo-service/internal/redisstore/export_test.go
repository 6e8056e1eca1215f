package redisstore

import "time"

// Patience is for a test machine that is busy with other things: Redis is away
// only when it has not answered for so long.
const Patience = 10 * time.Second

// BePatient makes the limiter fail open late.
func (l *Limiter) BePatient() { l.timeout = Patience }

// BePatient makes the cache turn to the database late.
func (c *ListCache) BePatient() { c.readTimeout, c.invalidateTimeout = Patience, Patience }

// Suspect makes subscriptions doubt a connection that is silent for so long.
func (f *Feed) Suspect(after time.Duration) { f.quiet = after }
