package deadletter

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/printable"
)

// filter selects dead letters.
type filter struct {
	group, recordType, errorText, key string // "" for any, but for the group
	since, until                      time.Time
	positions                         map[position]bool // empty for any
}

// matches reports whether the filter selects l, whose type is the value of the header typeHeader.
func (f filter) matches(l deadLetter, typeHeader string) bool {
	switch {
	case l.group != f.group,
		len(f.positions) > 0 && !f.positions[l.position],
		f.recordType != "" && l.record.Header(typeHeader) != f.recordType,
		!strings.Contains(l.record.Header(headers.Error), f.errorText),
		f.key != "" && string(l.record.Key) != f.key && printable.Excerpt(string(l.record.Key)) != f.key,
		l.failedAt.IsZero() && (!f.since.IsZero() || !f.until.IsZero()),
		!f.since.IsZero() && l.failedAt.Before(f.since),
		!f.until.IsZero() && l.failedAt.After(f.until):
		return false
	}
	return true
}

// isSelective reports whether the filter has a condition besides the group.
func (f filter) isSelective() bool {
	return f.recordType != "" || f.errorText != "" || f.key != "" || !f.since.IsZero() || !f.until.IsZero() || len(f.positions) > 0
}

// filterFlags are the flags that make a filter.
type filterFlags struct{ group, recordType, errorText, key, since, until string }

func (f *filterFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "dead letters of this consumer `group` (this service's own by default)")
	flags.StringVar(&f.recordType, "type", "", "only records of this `type`")
	flags.StringVar(&f.errorText, "error", "", "only with an error that contains this `text`")
	flags.StringVar(&f.key, "key", "", "only records with this `key`")
	flags.StringVar(&f.since, "since", "", "only failed at or after this `time`: 2026-01-15T10:00:00Z, or a duration back from now, such as 2h30m")
	flags.StringVar(&f.until, "until", "", "only failed at or before this `time`")
}

// parse returns the filter of the flags and of args, which are positions. Without --group it selects
// the dead letters of group.
func (f *filterFlags) parse(group string, args []string) (filter, error) {
	parsed := filter{group: group, recordType: f.recordType, errorText: f.errorText, key: f.key, positions: make(map[position]bool)}
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

// parseTime parses an RFC 3339 time, or a duration back from now, rounded down to seconds as times in
// headers are. "" is the zero time.
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
