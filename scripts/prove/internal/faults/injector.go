package faults

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
)

// Config is what an Injector works with.
type Config struct {
	Seed   int64
	System *cluster.System
	Gauge  *probe.Gauge
	Ledger *Ledger
	Log    *slog.Logger
	// Requests is how many calls of the clients have no answer.
	Requests func() int
	// Behind is how many completions were answered and are not in effect yet: notified,
	// or counted when stats is meant.
	Behind func(ctx context.Context, stats bool) int
	// Poison writes one record of each kind of poison to the topic.
	Poison func(ctx context.Context) error
	// Batch writes a batch that cannot be decoded to the topic.
	Batch func(ctx context.Context) error
}

// Injector does to a system what a scenario says.
type Injector struct {
	Config

	planting sync.Mutex
	planted  time.Time // the last poison
	replaced time.Time // the topic, since when the consumers are down

	mu    sync.Mutex
	stage int
	began time.Time // the stage
}

// New returns an Injector.
func New(cfg Config) *Injector { return &Injector{Config: cfg} }

// Run takes all steps, and leaves the system well. The error is one that made it impossible to go on.
// Before a scenario with a replaced topic comes Replace.
func (i *Injector) Run(ctx context.Context, s Scenario) error {
	if s.Replaced {
		if err := i.bringBack(ctx); err != nil {
			return fmt.Errorf("bring the consumers back: %w", err)
		}
	}
	for n, stage := range s.Stages {
		i.mu.Lock()
		i.stage, i.began = n, time.Now()
		i.mu.Unlock()
		i.Ledger.enter(stage.Name)
		i.Log.InfoContext(ctx, "stage", "name", stage.Name, "about", stage.Takes)
		group, ctx := errgroup.WithContext(ctx)
		for t, track := range stage.Tracks {
			group.Go(func() error {
				if err := i.walk(ctx, track, i.random(s.Name, n, t)); err != nil {
					return fmt.Errorf("stage %q: %w", stage.Name, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		i.Log.InfoContext(ctx, "stage over", "name", stage.Name, "took", time.Since(i.began).Round(time.Second))
	}
	i.mu.Lock()
	i.stage = len(s.Stages)
	i.mu.Unlock()
	i.Ledger.enter("")
	return nil
}

// Left is how long the rest of a scenario takes, about; never less than a moment while it goes on.
func (i *Injector) Left(s Scenario) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stage >= len(s.Stages) {
		return 0
	}
	const moment = 5 * time.Second
	return max(moment, s.Takes(i.stage)-time.Since(i.began), s.Takes(i.stage+1)+moment)
}

// random is a source of its own for each track, so that what one does leaves the others as they were.
func (i *Injector) random(scenario string, stage, track int) *rand.Rand {
	hash := fnv.New64()
	_, _ = fmt.Fprint(hash, scenario, stage, track)
	return rand.New(rand.NewPCG(uint64(i.Seed), hash.Sum64()))
}

func (i *Injector) walk(ctx context.Context, track Track, random *rand.Rand) error {
	for _, step := range track {
		for range max(1, step.repeats()) {
			if err := i.take(ctx, step, random); err != nil {
				return fmt.Errorf("%s %s: %w", step.Do, step.Target, err)
			}
			if step.Every > 0 {
				wait(ctx, step.Every)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// repeats is how often the injector takes the step: a crash step counts for itself.
func (s Step) repeats() int {
	if s.Do == Crash {
		return 1
	}
	return s.Times
}

func (i *Injector) take(ctx context.Context, s Step, random *rand.Rand) error {
	switch s.Do {
	case Calm:
		wait(ctx, s.For)
		return nil
	case Poison:
		return i.poison(ctx, time.Now())
	case Undecodable:
		return i.Batch(ctx)
	case Crash:
		return i.crash(ctx, s, random)
	case Kill, Outage, Freeze:
		return i.harmMember(ctx, s, random)
	case Cut, Delay, Slow, Stall, DropAnswers:
		return i.harmLink(ctx, s)
	case Flush:
		return i.flush(ctx, s)
	case Rebalance:
		return i.rebalance(ctx, s)
	case Failover:
		return i.failOver(ctx, s)
	}
	return fmt.Errorf("there is no step %q", s.Do)
}

// poison plants it, unless there is some that was planted since; it is tried again while Kafka is away.
func (i *Injector) poison(ctx context.Context, since time.Time) error {
	i.planting.Lock()
	defer i.planting.Unlock()
	if i.planted.After(since) {
		return nil
	}
	const patience = time.Minute
	end := time.Now().Add(patience)
	for {
		err := i.Poison(ctx)
		if err == nil {
			i.planted = time.Now()
		}
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		wait(ctx, time.Second)
	}
}

// await waits until work is in flight that target has a part in, but not for ever, and returns how much.
func (i *Injector) await(ctx context.Context, target string) (requests, behind int) {
	const patience = 20 * time.Second
	consumer := strings.HasPrefix(target, cluster.Notification) || strings.HasPrefix(target, cluster.Stats)
	stats := strings.HasPrefix(target, cluster.Stats)
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		requests, behind = i.Requests(), i.Behind(ctx, stats)
		if behind > 0 || requests > 0 && !consumer {
			break
		}
		wait(ctx, askEvery)
	}
	return requests, behind
}

const askEvery = 20 * time.Millisecond

// fault does something to target when work is in flight, and writes it down. do returns when target is
// well again.
func (i *Injector) fault(ctx context.Context, kind Kind, target string, do func() error) error {
	return i.tell(ctx, kind, target, func(*history.Fault) error { return do() })
}

// tell is fault for what has more to write down.
func (i *Injector) tell(ctx context.Context, kind Kind, target string, do func(*history.Fault) error) error {
	f := history.Fault{Kind: string(kind), Target: target}
	f.Requests, f.Behind = i.await(ctx, target)
	f.Began = time.Now()
	done := i.Ledger.begin(fmt.Sprintf("%s %s", kind, target))
	err := do(&f)
	f.Ended = time.Now()
	done()
	i.Ledger.Fault(f)
	i.Log.InfoContext(ctx, "fault", "kind", kind, "target", target, "took", f.Ended.Sub(f.Began).Round(time.Millisecond),
		"requests", f.Requests, "behind", f.Behind)
	return err
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
