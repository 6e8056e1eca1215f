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
	Seed     int64
	Cluster  *cluster.Cluster
	Probe    *probe.Probe
	Recorder *Recorder
	Log      *slog.Logger
	// Requests is how many calls of the clients have no answer.
	Requests func() int
	// Backlog is how many completions were answered and are not in effect yet: notified,
	// or counted when stats is meant.
	Backlog func(ctx context.Context, stats bool) int
	// WritePoison writes one record of each kind of poison to the topic.
	WritePoison func(ctx context.Context) error
	// WriteUndecodable writes a batch that cannot be decoded to the topic.
	WriteUndecodable func(ctx context.Context) error
}

// Injector does to a system what a scenario says.
type Injector struct {
	Config

	poisonMu        sync.Mutex
	poisonWrittenAt time.Time // the last poison
	replacedAt      time.Time // the topic, since when the consumers are down

	mu             sync.Mutex
	stage          int
	stageStartedAt time.Time // the stage
}

// New returns an Injector.
func New(cfg Config) *Injector { return &Injector{Config: cfg} }

// Run takes all steps, and leaves the system well. The error is one that made it impossible to go on.
// Before a scenario with a replaced topic comes Replace.
func (i *Injector) Run(ctx context.Context, s Scenario) error {
	if s.ReplaceTopic {
		if err := i.restartConsumers(ctx); err != nil {
			return fmt.Errorf("bring the consumers back: %w", err)
		}
	}
	for n, stage := range s.Stages {
		i.mu.Lock()
		i.stage, i.stageStartedAt = n, time.Now()
		i.mu.Unlock()
		i.Recorder.setStage(stage.Name)
		i.Log.InfoContext(ctx, "stage", "name", stage.Name, "about", stage.Duration)
		group, ctx := errgroup.WithContext(ctx)
		for t, track := range stage.Tracks {
			group.Go(func() error {
				if err := i.runTrack(ctx, track, i.newRandom(s.Name, n, t)); err != nil {
					return fmt.Errorf("stage %q: %w", stage.Name, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		i.Log.InfoContext(ctx, "stage over", "name", stage.Name, "took", time.Since(i.stageStartedAt).Round(time.Second))
	}
	i.mu.Lock()
	i.stage = len(s.Stages)
	i.mu.Unlock()
	i.Recorder.setStage("")
	return nil
}

// Remaining is how long the rest of a scenario takes, about; never less than a moment while it goes on.
func (i *Injector) Remaining(s Scenario) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stage >= len(s.Stages) {
		return 0
	}
	const moment = 5 * time.Second
	return max(moment, s.DurationFrom(i.stage)-time.Since(i.stageStartedAt), s.DurationFrom(i.stage+1)+moment)
}

// newRandom is a source of its own for each track, so that what one does leaves the others as they were.
func (i *Injector) newRandom(scenario string, stage, track int) *rand.Rand {
	hash := fnv.New64()
	_, _ = fmt.Fprint(hash, scenario, stage, track)
	return rand.New(rand.NewPCG(uint64(i.Seed), hash.Sum64()))
}

func (i *Injector) runTrack(ctx context.Context, track Track, random *rand.Rand) error {
	for _, step := range track {
		for range max(1, step.repeats()) {
			if err := i.runStep(ctx, step, random); err != nil {
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

func (i *Injector) runStep(ctx context.Context, s Step, random *rand.Rand) error {
	switch s.Do {
	case Pause:
		wait(ctx, s.For)
		return nil
	case Poison:
		return i.writePoison(ctx, time.Now())
	case UndecodableBatch:
		return i.WriteUndecodable(ctx)
	case Crash:
		return i.runFailpoints(ctx, s, random)
	case Kill, Outage, Freeze:
		return i.disruptProcess(ctx, s, random)
	case Cut, Delay, Slow, Stall, DropResponses:
		return i.disruptNetwork(ctx, s)
	case Flush:
		return i.flush(ctx, s)
	case Rebalance:
		return i.rebalance(ctx, s)
	case Failover:
		return i.failOver(ctx, s)
	}
	return fmt.Errorf("there is no step %q", s.Do)
}

// writePoison plants it, unless there is some that was planted since; it is tried again while Kafka is away.
func (i *Injector) writePoison(ctx context.Context, since time.Time) error {
	i.poisonMu.Lock()
	defer i.poisonMu.Unlock()
	if i.poisonWrittenAt.After(since) {
		return nil
	}
	const patience = time.Minute
	end := time.Now().Add(patience)
	for {
		err := i.WritePoison(ctx)
		if err == nil {
			i.poisonWrittenAt = time.Now()
		}
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		wait(ctx, time.Second)
	}
}

// awaitInFlight waits until work is in flight that target has a part in, but not for ever, and returns how much.
func (i *Injector) awaitInFlight(ctx context.Context, target string) (requests, behind int) {
	const patience = 20 * time.Second
	consumer := strings.HasPrefix(target, cluster.Notification) || strings.HasPrefix(target, cluster.Stats)
	stats := strings.HasPrefix(target, cluster.Stats)
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		requests, behind = i.Requests(), i.Backlog(ctx, stats)
		if behind > 0 || requests > 0 && !consumer {
			break
		}
		wait(ctx, pollInterval)
	}
	return requests, behind
}

const pollInterval = 20 * time.Millisecond

// inject does something to target when work is in flight, and writes it down. do returns when target is
// well again.
func (i *Injector) inject(ctx context.Context, kind Kind, target string, do func() error) error {
	return i.injectWith(ctx, kind, target, func(*history.Fault) error { return do() })
}

// injectWith is fault for what has more to write down.
func (i *Injector) injectWith(ctx context.Context, kind Kind, target string, do func(*history.Fault) error) error {
	f := history.Fault{Kind: string(kind), Target: target}
	f.Requests, f.Backlog = i.awaitInFlight(ctx, target)
	f.Began = time.Now()
	done := i.Recorder.startFault(fmt.Sprintf("%s %s", kind, target))
	err := do(&f)
	f.Ended = time.Now()
	done()
	i.Recorder.RecordFault(f)
	i.Log.InfoContext(ctx, "fault", "kind", kind, "target", target, "took", f.Ended.Sub(f.Began).Round(time.Millisecond),
		"requests", f.Requests, "behind", f.Backlog)
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
