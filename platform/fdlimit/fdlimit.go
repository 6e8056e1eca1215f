// Package fdlimit fits the connections that a process may hold into its limit
// of open files.
package fdlimit

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
)

const (
	// minConns is how many connections a server can do with, such as those of two probes
	// and of Prometheus. With fewer the process does not start.
	minConns = 3
	// quietShare is the share of the wanted connections with which there is no warning.
	quietShare = 0.9
)

// ConnLimit is a setting that says how many connections a server may hold.
type ConnLimit struct {
	Key string
	Max *int
}

// CapConnections lowers bounds until all of them, and others besides, fit into the limit of
// open files, and logs when it has to: a warning when more than a tenth is lost. The
// largest bounds are lowered first, to the same value. It is an error when the limit
// leaves too little for each of them.
//
// So each server finds a descriptor for every connection within its bound,
// whatever the clients of the other servers do. Go has raised the soft limit to
// the hard one.
func CapConnections(log *slog.Logger, others int, bounds ...ConnLimit) error {
	return capConnections(log, openFilesLimit(), others, bounds)
}

func capConnections(log *slog.Logger, limit, others int, bounds []ConnLimit) error {
	wanted, needed := 0, others
	keys := make([]string, len(bounds))
	for i, b := range bounds {
		wanted += *b.Max
		needed += min(*b.Max, minConns)
		keys[i] = b.Key
	}
	room := limit - others
	switch {
	case wanted <= room:
		return nil
	case needed > limit:
		return fmt.Errorf("the process may have %d files open (ulimit -n, LimitNOFILE) and needs at least %d: "+
			"%d for PostgreSQL, Redis, Kafka and files, and %d for each of %s; raise that limit, or lower the sizes of the pools",
			limit, needed, others, minConns, strings.Join(keys, ", "))
	}
	level := slog.LevelInfo
	if float64(room) < quietShare*float64(wanted) {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.Int("open_files", limit), slog.Int("would_need", others+wanted)}
	// What a small bound leaves of its part goes to the larger ones after it.
	ascending := slices.SortedFunc(slices.Values(bounds), func(a, b ConnLimit) int { return cmp.Compare(*a.Max, *b.Max) })
	for i, b := range ascending {
		*b.Max = min(*b.Max, room/(len(bounds)-i))
		room -= *b.Max
		attrs = append(attrs, slog.Int(b.Key, *b.Max))
	}
	log.LogAttrs(context.Background(), level, "the limit of open files (ulimit -n, LimitNOFILE) is too low for the connections that the settings allow: fewer are allowed", attrs...)
	return nil
}

// noLimit is a limit that no sum of bounds reaches.
const noLimit = math.MaxInt
