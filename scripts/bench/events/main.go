// Command events measures how fast events go from the database's log to Kafka,
// and from Kafka to their effects, each against what kcat does with the same
// records in the same run:
//
//	devstack with --postgres --redis --kafka=apache -- go run ./bench/events
//
// It exits with 1 when a ratio is below its limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"example.com/todo/platform/process"
)

// The least ratios to kcat that are good enough, and the least drain rate.
const (
	drainLimit   = 0.1
	consumeLimit = 0.35
	drainRate    = 20_000 // events/s
)

func main() {
	events := flag.Int("events", 200_000, "events in the log")
	rounds := flag.Int("rounds", 3, "how often each is measured; the medians count")
	flag.Parse()
	if err := run(*events, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench-events:", err)
		os.Exit(1)
	}
}

func run(events, rounds int) error {
	ctx, stop := process.Context()
	defer stop()
	b, err := open(ctx, events)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Printf("%d events, a quarter of them completions; medians of %d rounds, in events/s\n\n", events, rounds)

	drains, err := measure(ctx, rounds, b.drain, b.kcatProduces)
	if err != nil {
		return err
	}
	counts, err := measure(ctx, rounds, b.statsConsumes, b.kcatConsumes)
	if err != nil {
		return err
	}
	sends, err := measure(ctx, rounds, b.notificationsConsume, b.kcatConsumes)
	if err != nil {
		return err
	}
	fmt.Printf("%-44s %9s %9s %7s %7s\n", "", "ours", "kcat", "ratio", "limit")
	return errors.Join(
		drains.print("draining a backlog to Kafka, acks=all", drainLimit),
		counts.print("consuming and counting (stats-service)", consumeLimit),
		sends.print("consuming and notifying (to the log)", 0),
		atLeast("draining a backlog", drains.ours, drainRate),
	)
}

// pair is a rate of ours beside kcat's.
type pair struct{ ours, kcat float64 }

// measure takes turns, so that both meet the same machine.
func measure(ctx context.Context, rounds int, ours, kcat func(context.Context) (float64, error)) (pair, error) {
	var mine, theirs []float64
	for range rounds {
		rate, err := ours(ctx)
		if err != nil {
			return pair{}, err
		}
		mine = append(mine, rate)
		if rate, err = kcat(ctx); err != nil {
			return pair{}, err
		}
		theirs = append(theirs, rate)
	}
	return pair{ours: median(mine), kcat: median(theirs)}, nil
}

func median(rates []float64) float64 {
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// print shows the pair. A limit of 0 is none.
func (p pair) print(what string, limit float64) error {
	ratio := p.ours / p.kcat
	shown := "-"
	if limit > 0 {
		shown = fmt.Sprint(limit)
	}
	fmt.Printf("%-44s %9.0f %9.0f %7.2f %7s\n", what, p.ours, p.kcat, ratio, shown)
	if ratio < limit {
		return fmt.Errorf("%s: %.2f of kcat, at least %v is wanted", what, ratio, limit)
	}
	return nil
}

func atLeast(what string, rate, limit float64) error {
	if rate < limit {
		return fmt.Errorf("%s: %.0f events/s, at least %.0f are wanted", what, rate, limit)
	}
	return nil
}
