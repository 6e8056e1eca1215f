package redisstore

// rebuildPrefix starts the generation of a rebuild, whose dedup keys count too.
const rebuildPrefix = "rebuild-"

// The keys. Beside them there is one for each dedup key.
func (s *Store) totalKey() string           { return s.prefix + "stats:tasks:completed" }
func (s *Store) dayKey(day string) string   { return s.prefix + "stats:tasks:" + day }
func (s *Store) daysKey() string            { return s.prefix + "stats:days" }          // set: the days that have a counter
func (s *Store) offsetsKey() string         { return s.prefix + "stats:offsets" }       // hash: partition → next offset to count; "generation" → the current generation
func (s *Store) usersKey() string           { return s.prefix + "stats:users" }         // set: the users that have a hash
func (s *Store) userKey(user string) string { return s.prefix + "stats:user:" + user }  // hash: "completed" and each day → count; "generation" → of the counters
func (s *Store) retiredKey() string         { return s.prefix + "stats:users:retired" } // set: the users of earlier counters, whose hashes may be left
func (s *Store) targetsKey() string         { return s.prefix + "stats:targets" }       // hash: partition → the log's end when its counting started
func (s *Store) incarnationsKey() string    { return s.prefix + "stats:origins" }       // hash: partition → generation and incarnation that its offset belongs to
func (s *Store) pauseKey() string           { return s.prefix + "stats:hold" }          // exists while counting is paused
func (s *Store) dedupKey(key string) string { return s.prefix + "stats:processed:" + key }

// RebuildLockKey returns the key of the lock that a rebuild holds.
func (s *Store) RebuildLockKey() string { return s.prefix + "lock:stats-rebuild" }

// shadow returns the store of the rebuild that made the generation. Its keys have the
// same names under another prefix.
func (s *Store) shadow(generation string) *Store {
	return &Store{
		client: s.client, prefix: s.prefix + "stats:rebuild:" + generation + ":",
		ttl: dedupKeyTTL, newGeneration: func() string { return generation },
	}
}
