package main

import (
	"context"
	"fmt"
	"slices"
)

// rate measures once and returns a rate per second.
type rate func(context.Context) (float64, error)

// compare alternates between both sides for some rounds, and returns the median of each.
func compare(ctx context.Context, rounds int, ours, theirs rate) (a, b float64, err error) {
	var all [2][]float64
	for range rounds {
		for i, measure := range []rate{ours, theirs} {
			one, err := measure(ctx)
			if err != nil {
				return 0, 0, err
			}
			all[i] = append(all[i], one)
		}
	}
	return median(all[0]), median(all[1]), nil
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[int(float64(len(values))*q)]
}

func printHeader(theirs string) {
	fmt.Printf("%-52s %9s %9s %7s %7s\n", "", "ours", theirs, "ratio", "limit")
}

// atLeast prints a row of rates. The error says that the ratio is below the limit; a limit of 0 is no limit.
func atLeast(what string, ours, theirs, limit float64) error {
	printRow(what, ours, theirs, limit)
	if ours/theirs < limit {
		return fmt.Errorf("%s: the ratio is %.2f, below %v", what, ours/theirs, limit)
	}
	return nil
}

// atMost prints a row of durations. The error says that the ratio is above the limit.
func atMost(what string, ours, theirs, limit float64) error {
	printRow(what, ours, theirs, limit)
	if ours/theirs > limit {
		return fmt.Errorf("%s: the ratio is %.2f, above %v", what, ours/theirs, limit)
	}
	return nil
}

func printRow(what string, ours, theirs, limit float64) {
	shown := "-"
	if limit > 0 {
		shown = fmt.Sprint(limit)
	}
	fmt.Printf("%-52s %9s %9s %7.2f %7s\n", what, digits(ours), digits(theirs), ours/theirs, shown)
}

// digits formats a value with four significant digits, but never with an exponent.
func digits(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
