// Package fdlimit caps the connection limits of a process to its limit of open file
// descriptors (RLIMIT_NOFILE).
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

// minConns is the number of connections below which a server is of no use: two probes and
// Prometheus need three. With fewer the process does not start.
const minConns = 3

// ConnLimit is a setting: the maximal number of connections of a server.
type ConnLimit struct {
	Key string
	Max *int
}

// CapConnections lowers limits, the largest first, to the same value, until their sum and
// otherFiles fit into the limit of open files, which Go has raised to the hard limit. Then
// each server has a descriptor for each connection, whatever the load of the others is.
// It logs the new limits. The error says that a server would get fewer than 3 connections
// and fewer than configured.
func CapConnections(log *slog.Logger, otherFiles int, limits ...ConnLimit) error {
	return capConnections(log, openFilesLimit(), otherFiles, limits)
}

func capConnections(log *slog.Logger, openFiles, otherFiles int, limits []ConnLimit) error {
	wanted, needed := 0, otherFiles
	keys := make([]string, len(limits))
	for i, b := range limits {
		wanted += *b.Max
		needed += min(*b.Max, minConns)
		keys[i] = b.Key
	}
	room := openFiles - otherFiles
	switch {
	case wanted <= room:
		return nil
	case needed > openFiles:
		return fmt.Errorf("the process may have %d files open (ulimit -n, LimitNOFILE) and needs at least %d: "+
			"%d for PostgreSQL, Redis, Kafka and files, and %d for each of %s; raise that limit, or lower the sizes of the pools",
			openFiles, needed, otherFiles, minConns, strings.Join(keys, ", "))
	}
	attrs := []slog.Attr{slog.Int("open_files", openFiles), slog.Int("would_need", otherFiles+wanted)}
	// In ascending order, what a small limit does not use of its share goes to the larger ones.
	ascending := slices.SortedFunc(slices.Values(limits), func(a, b ConnLimit) int { return cmp.Compare(*a.Max, *b.Max) })
	for i, b := range ascending {
		*b.Max = min(*b.Max, room/(len(limits)-i))
		room -= *b.Max
		attrs = append(attrs, slog.Int(b.Key, *b.Max))
	}
	log.LogAttrs(context.Background(), slog.LevelWarn, "the limit of open files (ulimit -n, LimitNOFILE) is too low for the configured connections; their limits are lowered", attrs...)
	return nil
}

// noLimit is greater than any sum of limits.
const noLimit = math.MaxInt
