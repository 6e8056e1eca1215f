package checker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// sprintf is fmt.Sprintf with commas between the thousands of a number.
func sprintf(format string, args ...any) string {
	return message.NewPrinter(language.English).Sprintf(format, args...)
}

// formatTime formats a time for the details of a check.
func formatTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// sortedKeys returns the sorted keys of m, so that verdicts are deterministic.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// sortedBy returns the elements in the order of a time.
func sortedBy[T any](all []T, at func(T) time.Time) []T {
	return slices.SortedStableFunc(slices.Values(all), func(a, b T) int { return at(a).Compare(at(b)) })
}

// sortedValues returns the values of m by their keys.
func sortedValues[V any](m map[string]V) []V {
	values := make([]V, 0, len(m))
	for _, key := range sortedKeys(m) {
		values = append(values, m[key])
	}
	return values
}
