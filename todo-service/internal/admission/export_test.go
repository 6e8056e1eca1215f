package admission

// Clients returns the number of clients that hold a slot or wait for one.
func (s *ClientSlots) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
