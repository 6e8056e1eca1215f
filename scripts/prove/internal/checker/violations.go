package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// maxDetails is how many violations a check shows.
const maxDetails = 8

// violations collects the violations of one check.
type violations struct {
	total int
	first []string
}

func (f *violations) add(format string, args ...any) {
	f.total++
	if len(f.first) < maxDetails {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

// check returns the result: green without violations.
func (f *violations) check(name, promise, figure string, args ...any) Check {
	details := f.first
	if more := f.total - len(f.first); more > 0 {
		details = append(details, fmt.Sprintf("and %s more", groupThousands(more)))
	}
	return Check{Name: name, Promise: promise, Figure: fmt.Sprintf(figure, args...), OK: f.total == 0, Details: details}
}

// sortedKeys returns the sorted keys of m, so that verdicts are deterministic.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
