package watch

// Owners returns how many owners the ring has a part for.
func Owners(h *Hub) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.ring.owners)
}
