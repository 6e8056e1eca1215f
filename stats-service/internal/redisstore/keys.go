package redisstore

// rebuildPrefix starts the generation of a rebuild, whose dedup keys count too.
const rebuildPrefix = "rebuild-"

// The keys. Beside them there is one for each dedup key.
func (s *Store) total() string              { return s.prefix + "stats:tasks:completed" }
func (s *Store) day(day string) string      { return s.prefix + "stats:tasks:" + day }
func (s *Store) days() string               { return s.prefix + "stats:days" }    // set: the days that have a counter
func (s *Store) offsets() string            { return s.prefix + "stats:offsets" } // hash: partition → next offset to count; "generation" → the current generation
func (s *Store) targets() string            { return s.prefix + "stats:targets" } // hash: partition → the log's end when its counting started
func (s *Store) incarnations() string       { return s.prefix + "stats:origins" } // hash: partition → generation and incarnation that its offset belongs to
func (s *Store) pauseKey() string           { return s.prefix + "stats:hold" }    // exists while counting is paused
func (s *Store) dedupKey(key string) string { return s.prefix + "stats:processed:" + key }

// RebuildLock returns the key of the lock that a rebuild holds.
func (s *Store) RebuildLock() string { return s.prefix + "lock:stats-rebuild" }

// shadow returns the store of the rebuild that made the generation. Its keys have the
// same names under another prefix.
func (s *Store) shadow(generation string) *Store {
	return &Store{
		client: s.client, prefix: s.prefix + "stats:rebuild:" + generation + ":",
		ttl: dedupKeyTTL, newGeneration: func() string { return generation },
	}
}
