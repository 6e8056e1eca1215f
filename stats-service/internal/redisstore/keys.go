package redisstore

// The keys. Beside them there is one for each mark.
func (s *Store) total() string         { return s.prefix + "stats:tasks:completed" }
func (s *Store) day(day string) string { return s.prefix + "stats:tasks:" + day }
func (s *Store) days() string          { return s.prefix + "stats:days" }    // set: the days that have a counter
func (s *Store) offsets() string       { return s.prefix + "stats:offsets" } // hash: partition → next offset to count; generation → whose marks count
func (s *Store) targets() string       { return s.prefix + "stats:targets" } // hash: partition → the log's end when its counting began
