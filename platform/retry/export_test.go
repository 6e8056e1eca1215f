package retry

// Attempts returns the number of failed attempts in the current outage.
func (o *Outage) Attempts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attempts
}
