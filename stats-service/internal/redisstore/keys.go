package redisstore

import "strings"

// rebuildPrefix begins the generation of a count that a rebuild made.
const rebuildPrefix = "rebuild-"

// The keys. Beside them there is one for each mark.
func (s *Store) total() string               { return s.prefix + "stats:tasks:completed" }
func (s *Store) day(day string) string       { return s.prefix + "stats:tasks:" + day }
func (s *Store) days() string                { return s.prefix + "stats:days" }    // set: the days that have a counter
func (s *Store) offsets() string             { return s.prefix + "stats:offsets" } // hash: partition → next offset to count; generation → whose marks count
func (s *Store) targets() string             { return s.prefix + "stats:targets" } // hash: partition → the log's end when its counting began
func (s *Store) incarnations() string        { return s.prefix + "stats:origins" } // hash: partition → generation and origin of the log that its offset belongs to; see kafka.Log.Owns
func (s *Store) pauseKey() string            { return s.prefix + "stats:hold" }    // there while nothing may be counted
func (s *Store) dedupKey(mark string) string { return s.prefix + "stats:processed:" + mark }

// RebuildLock is the key of the lock under which a rebuild works.
func (s *Store) RebuildLock() string { return s.prefix + "lock:stats-rebuild" }

// shadow is where the rebuild of that generation keeps its keys, which are named
// as the store's own.
func (s *Store) shadow(generation string) *Store {
	return &Store{
		client: s.client, prefix: s.prefix + "stats:rebuild:" + generation + ":",
		ttl: dedupKeyTTL, newGeneration: func() string { return generation },
	}
}

// hasRebuildDedupKeys says whether marks may also lie where the generation's rebuild kept them.
func hasRebuildDedupKeys(generation string) bool { return strings.HasPrefix(generation, rebuildPrefix) }
