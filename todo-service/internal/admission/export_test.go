package admission

// Clients is how many clients search.
func (s *SearchLocks) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
