// Command edge measures what a request costs at the edge of todo-service, each
// time against the least that could do the same, in the same run:
//
//	devstack with --postgres --redis --kafka=apache -- go run ./bench/edge
//
// It exits with 1 when a ratio misses its limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/process"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "bare" {
		fail(serveBare(os.Args[2], os.Args[3]))
	}
	var o options
	flag.DurationVar(&o.each, "each", 3*time.Second, "how long each is measured in a round")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured; the medians count")
	flag.IntVar(&o.tasks, "tasks", 1_000_000, "tasks in the large database")
	only := flag.String("only", "notify,hit,fresh,create,complete,get,size", "what is measured")
	flag.Parse()
	o.only = strings.Split(*only, ",")
	fail(run(o))
}

type options struct {
	each   time.Duration
	rounds int
	tasks  int
	only   []string
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-edge:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := process.Context()
	defer stop()
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	fmt.Printf("medians of %d rounds of %v; everything switched on, the limit raised\n\n", o.rounds, o.each)
	fmt.Printf("%-52s %9s %9s %7s %7s\n", "", "ours", "theirs", "ratio", "limit")

	var missed []error
	for _, part := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"notify", b.notify}, {"hit", b.hit}, {"fresh", b.fresh}, {"create", b.create}, {"complete", b.complete}, {"get", b.get}, {"size", b.size},
	} {
		if !slices.Contains(o.only, part.name) {
			continue
		}
		if err := part.measure(ctx); err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	return errors.Join(missed...)
}

// rate measures something for a while and returns its rate a second.
type rate func(context.Context) (float64, error)

// compare takes turns, so that both meet the same machine, and returns the medians.
func (b *bench) compare(ctx context.Context, ours, theirs rate) (mine, yours float64, err error) {
	all := [2][]float64{}
	for range b.rounds {
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

// atLeast compares rates, and atMost times: the ratio is ours to theirs.
func (b *bench) atLeast(ctx context.Context, what string, limit float64, ours, theirs rate) error {
	mine, yours, err := b.compare(ctx, ours, theirs)
	if err != nil {
		return err
	}
	show(what, mine, yours, limit)
	if mine/yours < limit {
		return fmt.Errorf("%s: %.2f, at least %v is wanted", what, mine/yours, limit)
	}
	return nil
}

func atMost(what string, mine, yours, limit float64) error {
	show(what, mine, yours, limit)
	if mine/yours > limit {
		return fmt.Errorf("%s: %.2f, at most %v is wanted", what, mine/yours, limit)
	}
	return nil
}

func show(what string, mine, yours, limit float64) {
	fmt.Printf("%-52s %9.4g %9.4g %7.2f %7v\n", what, mine, yours, mine/yours, limit)
}
