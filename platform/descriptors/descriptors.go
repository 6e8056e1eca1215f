// Package descriptors fits the connections that a process may hold into its limit
// of open files.
package descriptors

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
)

// least is how many connections a server can do with: some clients, probes, and one
// that is about to be refused. With fewer the process does not start.
const least = 6

// Bound is a setting that says how many connections a server may hold.
type Bound struct {
	Key   string
	Value *int
}

// Fit lowers bounds until all of them, and others besides, fit into the limit of
// open files, and warns when it has to. Each bound keeps its share of what there is.
// It is an error when the limit leaves too little for each of them.
//
// So each server finds a descriptor for every connection within its bound,
// whatever the clients of the other servers do. Go has raised the soft limit to
// the hard one.
func Fit(log *slog.Logger, others int, bounds ...Bound) error {
	return fit(log, limit(), others, bounds)
}

func fit(log *slog.Logger, limit, others int, bounds []Bound) error {
	wanted, needed := others, others
	keys := make([]string, len(bounds))
	for i, b := range bounds {
		wanted += *b.Value
		needed += min(*b.Value, least)
		keys[i] = b.Key
	}
	switch {
	case wanted <= limit:
		return nil
	case needed > limit:
		return fmt.Errorf("the process may have %d files open (ulimit -n, LimitNOFILE) and needs at least %d: "+
			"%d for PostgreSQL, Redis, Kafka and files, and %d for each of %s; raise that limit, or lower the sizes of the pools",
			limit, needed, others, least, strings.Join(keys, ", "))
	}
	attrs := []any{slog.Int("open_files", limit), slog.Int("would_need", wanted)}
	spare, share := limit-needed, float64(limit-needed)/float64(wanted-needed)
	for _, b := range bounds {
		base := min(*b.Value, least)
		more := min(int(float64(*b.Value-base)*share), spare)
		spare -= more
		*b.Value = base + more
		attrs = append(attrs, slog.Int(b.Key, *b.Value))
	}
	log.Warn("the limit of open files (ulimit -n, LimitNOFILE) is too low for the connections that the settings allow: fewer are allowed", attrs...)
	return nil
}

// unlimited is a limit that no sum of bounds reaches.
const unlimited = math.MaxInt
