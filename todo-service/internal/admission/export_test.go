package admission

// Clients returns the number of clients with a search.
func (s *SearchLocks) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.locks)
}
