package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// shown bounds the offenders that a row names.
const shown = 8

// findings are the offenders of a row.
type findings struct {
	total int
	first []string
}

func (f *findings) add(format string, args ...any) {
	f.total++
	if len(f.first) < shown {
		f.first = append(f.first, fmt.Sprintf(format, args...))
	}
}

// row is green when nothing was found.
func (f *findings) row(name, promise, figure string, args ...any) Row {
	details := f.first
	if more := f.total - len(f.first); more > 0 {
		details = append(details, fmt.Sprintf("and %s more", count(more)))
	}
	return Row{Name: name, Promise: promise, Figure: fmt.Sprintf(figure, args...), OK: f.total == 0, Details: details}
}

// inOrder returns the keys of m sorted, so that a verdict reads the same each time.
func inOrder[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
