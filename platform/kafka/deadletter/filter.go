package deadletter

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/printable"
)

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

func (f *filter) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "dead letters of this consumer `group` (this service's own by default)")
	flags.StringVar(&f.recordType, "type", "", "only records of this `type`")
	flags.StringVar(&f.errorText, "error", "", "only with an error that contains this `text`")
	flags.StringVar(&f.key, "key", "", "only records with this `key`")
	flags.Func("since", "only failed at or after this `time`: 2026-01-15T10:00:00Z, or a duration back from now, such as 2h30m", parseTo(&f.since))
	flags.Func("until", "only failed at or before this `time`", parseTo(&f.until))
}

// complete adds args, which are positions, and the group if there was no --group. It validates the filter.
func (f *filter) complete(group string, args []string) error {
	f.group = cmp.Or(f.group, group)
	if !f.until.IsZero() && f.until.Before(f.since) {
		return fmt.Errorf("--since %s is after --until %s: no time is between them",
			f.since.Format(time.RFC3339), f.until.Format(time.RFC3339))
	}
	f.positions = make(map[position]bool)
	for _, arg := range args {
		at, err := parsePosition(arg)
		if err != nil {
			return err
		}
		f.positions[at] = true
	}
	return nil
}

// parseTo returns a function that parses an RFC 3339 time, or a duration back from now, rounded down to
// seconds as times in headers are.
func parseTo(parsed *time.Time) func(string) error {
	return func(text string) (err error) {
		if *parsed, err = time.Parse(time.RFC3339, text); err == nil {
			return nil
		}
		if back, err := time.ParseDuration(text); err == nil && back >= 0 {
			*parsed = time.Now().Add(-back).Truncate(time.Second)
			return nil
		}
		return errors.New("it is no time: give one such as 2026-01-15T10:00:00Z, or how long ago, such as 2h30m")
	}
}
