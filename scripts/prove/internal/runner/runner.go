// Package runner implements the test runner: it takes one experiment from the start of the
// cluster to the complete history, which the checker judges.
//
//	start ──> replace topic ──> workload and faults ──> quiesce ──> collect ──> replay
//	 (scenario)         side by side                           (scenario)
//
// The scenario decides whether the topic is replaced before the workload, and whether the topic
// and the dead letters are replayed after it.
package runner

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/stack"
	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
	"example.com/todo/scripts/prove/internal/rogueproducer"
	"example.com/todo/scripts/prove/internal/webhookserver"
	"example.com/todo/scripts/prove/internal/workload"
)

// Options describe one run.
type Options struct {
	Seed     int64
	Scenario faults.Scenario
	Tree     string // source tree of the services
	Dir      string // folder of the run
	Tools    stack.Tools
	Log      *slog.Logger
	Printf   func(format string, args ...any) // prints a line of progress
	Timeout  time.Duration                    // from when the cluster is up until the history is complete; 0 for no limit
}

const (
	hotTasks = 20
	clients  = 32
	// Random draws may fall short of the expected fraction.
	copyOversampling = 1.2
	// Without a new copy for this long, the producer has written all of them.
	copyIdleTime = 4 * time.Second
	copyTimeout  = time.Minute
	// Part of Timeout that is reserved for collecting the history.
	collectReserve = 6 * time.Second
)

// experiment is the state of one run.
type experiment struct {
	Options
	startedAt time.Time
	recorder  *faults.Recorder
	cluster   *cluster.Cluster
	probe     *probe.Probe
	webhooks  *webhookserver.Server
	producer  *rogueproducer.Producer
	workload  *workload.Workload
	injector  *faults.Injector
	memory    memorySampler

	deadline time.Time // for quiescing; zero without a limit

	mu           sync.Mutex
	phase        string
	lastProgress probe.Progress // when the database last responded
}

// Run runs one experiment and stops everything that it started. The history is complete if the
// error is nil or ErrNotQuiescent.
func Run(ctx context.Context, o Options) (*history.Run, error) {
	t := &experiment{Options: o, startedAt: time.Now(), recorder: &faults.Recorder{}}
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	var run *history.Run
	group.Go(func() (err error) {
		defer stop()
		run, err = t.run(ctx, group)
		return err
	})
	err := group.Wait()
	return run, err
}

// run starts the cluster and its observers, which run in group until ctx ends.
func (t *experiment) run(ctx context.Context, group *errgroup.Group) (run *history.Run, err error) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	if t.webhooks, err = webhookserver.Listen(ctx, "127.0.0.1:0", secret, t.Seed); err != nil {
		return nil, err
	}
	group.Go(func() error { return t.webhooks.Run(ctx) })
	t.setPhase("start")
	t.cluster, err = cluster.Start(ctx, cluster.Config{
		Tree: t.Tree, Dir: t.Dir, Tools: t.Tools, WebhookURL: t.webhooks.URL(), WebhookSecret: secret, OnExit: t.recorder.RecordExit,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.cluster.Close()) }()
	if t.probe, err = probe.New(t.cluster.PostgresDSN(), t.cluster.Brokers(), t.cluster.RedisAddr(cluster.Redis)); err != nil {
		return nil, err
	}
	defer t.probe.Close()
	t.configure()
	group.Go(func() error { t.reportProgress(ctx); return nil })
	group.Go(func() error { t.memory.sample(ctx, t.cluster, t.recorder); return nil })
	t.Printf("the cluster is up after %s", t.elapsed())
	if t.Timeout > 0 {
		t.deadline = time.Now().Add(t.Timeout - collectReserve)
		bounded, cancel := context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("the run took longer than %s", t.Timeout))
		defer cancel()
		ctx = bounded
	}
	return t.execute(ctx)
}

func (t *experiment) configure() {
	var targets []workload.Target
	for _, r := range t.cluster.Replicas(cluster.Todo) {
		targets = append(targets, workload.Target{HTTP: r.HTTP, GRPC: r.GRPC})
	}
	t.injector = faults.New(faults.Config{
		Seed: t.Seed, Cluster: t.cluster, Probe: t.probe, Recorder: t.recorder, Log: t.Log,
		Requests:         func() int { return t.workload.InFlight() },
		Backlog:          t.backlog,
		WritePoison:      func(ctx context.Context) error { return t.producer.WritePoison(ctx) },
		WriteUndecodable: func(ctx context.Context) error { return t.producer.WriteUndecodableBatch(ctx) },
	})
	t.workload = workload.New(workload.Config{
		Seed: t.Seed, Calls: t.plannedCalls(), HotTasks: hotTasks, Clients: clients, Readers: t.Scenario.Readers, Targets: targets, Rate: t.rate, Log: t.Log,
	})
}

// execute runs the phases on a cluster that is up.
func (t *experiment) execute(ctx context.Context) (*history.Run, error) {
	run := &history.Run{
		Seed: t.Seed, Changes: t.Scenario.Changes, StartedAt: time.Now(), Expected: t.Scenario.Expected(),
	}
	if t.Scenario.ReplaceTopic {
		t.setPhase("replace topic")
		if err := t.injector.ReplaceTopic(ctx); err != nil {
			return nil, fmt.Errorf("replace the topic: %w", err)
		}
	}
	// Created after the replacement, because a client that knew the old topic would not read the
	// new one.
	var err error
	if t.producer, err = rogueproducer.New(t.cluster.Brokers(), t.Seed); err != nil {
		return nil, err
	}
	defer t.producer.Close()
	t.setPhase("workload and faults")
	if err := t.runWorkload(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	run.EndedAt = time.Now()
	t.setPhase("quiesce")
	noisy := t.quiesce(ctx)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	t.setPhase("collect")
	run.Calls, run.Reads = t.workload.Calls(), t.workload.Reads()
	run.Poison, run.Copies = t.producer.Poison(), t.producer.Copies()
	if err := checker.Collect(ctx, t.sources(), run); err != nil {
		return nil, fmt.Errorf("collect the history: %w", err)
	}
	run.Deliveries = t.webhooks.Deliveries()
	if t.Scenario.Replay && noisy == nil {
		t.setPhase("replay")
		if err := t.replayAndCollect(ctx, run); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	run.Faults, run.Crashes, run.Exits = t.recorder.Recorded()
	run.Memory = t.memory.collected()
	run.CollectedAt = time.Now()
	return run, noisy
}

// runWorkload runs clients, faults and copies side by side.
func (t *experiment) runWorkload(ctx context.Context) error {
	copying, over := context.WithCancel(ctx)
	defer over()
	var copies errgroup.Group
	copies.Go(func() error { return t.producer.WriteCopies(copying, t.Scenario.CopyFraction*copyOversampling) })
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := t.workload.Run(working); err != nil {
			return fmt.Errorf("workload: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := t.injector.Run(working, t.Scenario); err != nil {
			return fmt.Errorf("faults: %w", err)
		}
		return nil
	})
	err := group.Wait()
	if err == nil && t.Scenario.CopyFraction > 0 {
		t.awaitCopies(ctx)
	}
	over()
	return errors.Join(err, copies.Wait())
}

// awaitCopies waits until the scheduled copies have been written.
func (t *experiment) awaitCopies(ctx context.Context) {
	last := -1
	for end := time.Now().Add(copyTimeout); ctx.Err() == nil && time.Now().Before(end); {
		now := len(t.producer.Copies())
		if now == last {
			return
		}
		last = now
		retry.Wait(ctx, copyIdleTime)
	}
}

func (t *experiment) sources() checker.Sources {
	s := checker.Sources{PostgresDSN: t.cluster.PostgresDSN(), Brokers: t.cluster.Brokers()}
	for _, r := range t.cluster.Replicas(cluster.Stats) {
		s.Stats = append(s.Stats, r.HTTP)
	}
	return s
}

func (t *experiment) setPhase(phase string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = phase
}

func (t *experiment) elapsed() time.Duration {
	return time.Since(t.startedAt).Round(100 * time.Millisecond)
}
