package redisstore

// ExtendTimeout sets the time that callers wait for Redis to LongTimeout.
func (l *AttemptLimits) ExtendTimeout() { l.timeout = LongTimeout }
