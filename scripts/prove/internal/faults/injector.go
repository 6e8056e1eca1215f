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

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
)

// Config has what an Injector works on.
type Config struct {
	Seed     int64
	Cluster  *cluster.Cluster
	Probe    *probe.Probe
	Recorder *Recorder
	Log      *slog.Logger
	// Requests returns the number of client calls without a response.
	Requests func() int
	// Backlog returns the number of acknowledged completions without their effect: the
	// notification, or the count if stats is set.
	Backlog func(ctx context.Context, stats bool) int
	// WritePoison writes one record of each kind of poison to the topic.
	WritePoison func(ctx context.Context) error
	// WriteUndecodable writes a batch that cannot be decoded to the topic.
	WriteUndecodable func(ctx context.Context) error
}

// Injector implements fault injection: it runs the steps of a scenario on a cluster and records
// each fault.
type Injector struct {
	Config

	poisonMu        sync.Mutex
	poisonWrittenAt time.Time // the last poison
	replacedAt      time.Time // since then the consumers are stopped

	mu             sync.Mutex
	stage          int
	stageStartedAt time.Time // of the current stage
}

// New returns an Injector.
func New(cfg Config) *Injector { return &Injector{Config: cfg} }

// Run runs all stages and leaves the cluster healthy. An error means that the scenario could not
// go on. If the scenario replaces the topic, call ReplaceTopic first.
func (i *Injector) Run(ctx context.Context, s Scenario) error {
	if s.ReplaceTopic {
		if err := i.restartConsumers(ctx); err != nil {
			return fmt.Errorf("restart the consumers: %w", err)
		}
	}
	for n, stage := range s.Stages {
		i.mu.Lock()
		i.stage, i.stageStartedAt = n, time.Now()
		i.mu.Unlock()
		i.Recorder.SetStage(stage.Name)
		i.Log.InfoContext(ctx, "stage started", "name", stage.Name, "estimate", stage.Duration)
		group, ctx := errgroup.WithContext(ctx)
		for t, track := range stage.Tracks {
			group.Go(func() error { return i.runTrack(ctx, track, i.newRandom(s.Name, n, t)) })
		}
		if err := group.Wait(); err != nil {
			return fmt.Errorf("stage %q: %w", stage.Name, err)
		}
		i.Log.InfoContext(ctx, "stage ended", "name", stage.Name, "took", time.Since(i.stageStartedAt).Round(time.Second))
	}
	i.mu.Lock()
	i.stage = len(s.Stages)
	i.mu.Unlock()
	i.Recorder.SetStage("no more faults")
	return nil
}

// Remaining estimates how long the rest of a scenario takes; it is at least 5 s until the
// scenario ends.
func (i *Injector) Remaining(s Scenario) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stage >= len(s.Stages) {
		return 0
	}
	const reserve = 5 * time.Second
	return max(reserve, s.DurationFrom(i.stage)-time.Since(i.stageStartedAt), s.DurationFrom(i.stage+1)+reserve)
}

// newRandom returns the random source of one track. Tracks share no source, so that a change of one
// leaves the others as they were.
func (i *Injector) newRandom(scenario string, stage, track int) *rand.Rand {
	hash := fnv.New64()
	_, _ = fmt.Fprint(hash, scenario, stage, track)
	return rand.New(rand.NewPCG(uint64(i.Seed), hash.Sum64()))
}

func (i *Injector) runTrack(ctx context.Context, track Track, random *rand.Rand) error {
	for _, step := range track {
		times := max(1, step.Times)
		if step.Do == Crash { // it repeats by itself
			times = 1
		}
		for range times {
			if err := i.runStep(ctx, step, random); err != nil {
				return fmt.Errorf("%s %s: %w", step.Do, step.Target, err)
			}
			if step.Every > 0 {
				retry.Wait(ctx, step.Every)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func (i *Injector) runStep(ctx context.Context, s Step, random *rand.Rand) error {
	switch s.Do {
	case Pause:
		retry.Wait(ctx, s.For)
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
	case Migrate:
		return i.inject(ctx, s.Do, s.Target, func() error { return i.Cluster.RunCommand(ctx, cluster.Todo, "migrate") })
	case Upgrade:
		return i.inject(ctx, s.Do, s.Target, func() error { return i.Cluster.Replace(ctx, s.Target, history.Working) })
	case RollBack:
		return i.inject(ctx, s.Do, s.Target, func() error { return i.Cluster.Replace(ctx, s.Target, history.Released) })
	case Measure:
		return i.measureShares(ctx, s.For)
	case Failover:
		return i.failOver(ctx, s)
	}
	return fmt.Errorf("unknown step %q", s.Do)
}

// writePoison writes poison unless some was written after since. While Kafka is down it waits.
func (i *Injector) writePoison(ctx context.Context, since time.Time) error {
	i.poisonMu.Lock()
	defer i.poisonMu.Unlock()
	if i.poisonWrittenAt.After(since) {
		return nil
	}
	i.poisonWrittenAt = time.Now()
	return i.WritePoison(ctx)
}

// awaitInFlight waits up to 20 s until work is in flight that the target takes part in, and
// returns how much.
func (i *Injector) awaitInFlight(ctx context.Context, target string) (requests, backlog int) {
	const timeout = 20 * time.Second
	stats := strings.HasPrefix(target, cluster.Stats)
	consumer := stats || strings.HasPrefix(target, cluster.Notification)
	poll(ctx, timeout, func() bool {
		requests, backlog = i.Requests(), i.Backlog(ctx, stats)
		return backlog > 0 || requests > 0 && !consumer
	})
	return requests, backlog
}

const pollInterval = 20 * time.Millisecond

// poll calls isDone until it returns true, until the timeout or the end of ctx.
func poll(ctx context.Context, timeout time.Duration, isDone func() bool) {
	for end := time.Now().Add(timeout); !isDone() && time.Now().Before(end); {
		if !retry.Wait(ctx, pollInterval) {
			return
		}
	}
}

// inject awaits work in flight, runs do and records the fault. do returns when the target has
// recovered.
func (i *Injector) inject(ctx context.Context, kind Kind, target string, do func() error) error {
	return i.injectWith(ctx, kind, target, func(*history.Fault) error { return do() })
}

// injectWith is inject for a do that adds details to the fault.
func (i *Injector) injectWith(ctx context.Context, kind Kind, target string, do func(*history.Fault) error) error {
	f := history.Fault{Kind: string(kind), Target: target}
	f.Requests, f.Backlog = i.awaitInFlight(ctx, target)
	f.Began = time.Now()
	done := i.Recorder.startFault(fmt.Sprintf("%s %s", kind, target))
	err := do(&f)
	f.Ended = time.Now()
	done(f)
	i.Log.InfoContext(ctx, "fault", "kind", kind, "target", target, "took", f.Ended.Sub(f.Began).Round(time.Millisecond),
		"requests", f.Requests, "backlog", f.Backlog)
	return err
}
