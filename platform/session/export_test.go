package session

import "time"

// SetCheckTimeout sets how long a check waits for Redis. Tests that are not about it run
// beside others on a machine that may be slow.
func (s *Store) SetCheckTimeout(timeout time.Duration) { s.checkTimeout = timeout }

// Watched returns the number of sessions with open streams.
func (w *Watcher) Watched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watched)
}
