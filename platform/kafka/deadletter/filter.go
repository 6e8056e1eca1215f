package deadletter

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/printable"
)

// filter says which letters are meant.
type filter struct {
	group, eventType, errorText, key string // "" for any; of the group never
	since, until                     time.Time
	positions                        map[position]bool // empty for all
}

// matches tells whether the letter, whose type is in that header, is meant.
func (f filter) matches(l deadLetter, typeHeader string) bool {
	switch {
	case l.group != f.group,
		len(f.positions) > 0 && !f.positions[l.position],
		f.eventType != "" && l.record.Header(typeHeader) != f.eventType,
		!strings.Contains(l.record.Header(headerError), f.errorText),
		f.key != "" && string(l.record.Key) != f.key && printable.Excerpt(string(l.record.Key)) != f.key,
		l.failedAt.IsZero() && (!f.since.IsZero() || !f.until.IsZero()),
		!f.since.IsZero() && l.failedAt.Before(f.since),
		!f.until.IsZero() && l.failedAt.After(f.until):
		return false
	}
	return true
}

// isSelective tells whether the filter says more than the group.
func (f filter) isSelective() bool {
	return f.eventType != "" || f.errorText != "" || f.key != "" || !f.since.IsZero() || !f.until.IsZero() || len(f.positions) > 0
}

// filterFlags are a filter as it is written on the command line.
type filterFlags struct{ group, eventType, errorText, key, since, until string }

func (f *filterFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "dead letters of this consumer `group` (this service's own by default)")
	flags.StringVar(&f.eventType, "type", "", "only records of this `type`")
	flags.StringVar(&f.errorText, "error", "", "only those whose error contains this `text`")
	flags.StringVar(&f.key, "key", "", "only records of this `key`")
	flags.StringVar(&f.since, "since", "", "only failed at or after this `time`: 2026-01-15T10:00:00Z, or 2h30m for so long ago")
	flags.StringVar(&f.until, "until", "", "only failed at or before this `time`")
}

// parse reads the flags, and the places given as arguments.
func (f *filterFlags) parse(group string, args []string) (filter, error) {
	parsed := filter{group: group, eventType: f.eventType, errorText: f.errorText, key: f.key, positions: make(map[position]bool)}
	if f.group != "" {
		parsed.group = f.group
	}
	now := time.Now()
	var problems [2]error
	parsed.since, problems[0] = parseTime("--since", f.since, now)
	parsed.until, problems[1] = parseTime("--until", f.until, now)
	if err := errors.Join(problems[:]...); err != nil {
		return filter{}, err
	}
	if !parsed.until.IsZero() && parsed.until.Before(parsed.since) {
		return filter{}, fmt.Errorf("--since %s is after --until %s: no time is between them", f.since, f.until)
	}
	for _, arg := range args {
		at, err := parsePosition(arg)
		if err != nil {
			return filter{}, err
		}
		parsed.positions[at] = true
	}
	return parsed, nil
}

// parseTime reads a time, or a duration back from now. Headers have whole
// seconds, and so has the duration's time.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if back, err := time.ParseDuration(text); err == nil && back >= 0 {
		return now.Add(-back).Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf("%s %q is no time: give one such as 2026-01-15T10:00:00Z, or how long ago, such as 2h30m", flag, text)
}
