// Package runner is one run of the proof: it starts the system, has clients change tasks while faults
// happen, waits for quiet, replays everything, and collects what the audit judges.
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

	"example.com/todo/scripts/internal/toolchain"
	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
	"example.com/todo/scripts/prove/internal/rogueproducer"
	"example.com/todo/scripts/prove/internal/webhookserver"
	"example.com/todo/scripts/prove/internal/workload"
)

// Options say which run.
type Options struct {
	Seed     int64
	Scenario faults.Scenario
	Tree     string // the source tree of the services
	Dir      string // the run's folder
	Tools    toolchain.Tools
	Log      *slog.Logger
	Tell     func(format string, args ...any) // progress, a line each
	AtMost   time.Duration                    // from when the system is up to when all evidence is there; 0: as long as it takes
}

const (
	hot     = 20
	clients = 32
	// A draw may fall short of the share that is wanted.
	copyMore = 1.2
	// When none was written for so long, none is to come.
	copyLast   = 4 * time.Second
	copyAtMost = time.Minute
	// Of a time that is bounded so much is kept for reading what is there.
	collecting = 6 * time.Second
)

// trial is what a run is made of.
type trial struct {
	Options
	began    time.Time
	ledger   *faults.Ledger
	system   *cluster.System
	gauge    *probe.Gauge
	provider *webhookserver.Provider
	planter  *rogueproducer.Planter
	workload *workload.Workload
	injector *faults.Injector
	memory   memory

	end time.Time // of waiting for quiet; zero when that has time

	mu    sync.Mutex
	phase string
	known probe.Progress // when the database was asked last
}

// Run is one run from its start to the end of everything that it started. The evidence is complete when
// there is no error; it is also complete when only the system did not become quiet, which is ErrNoisy.
func Run(ctx context.Context, o Options) (*history.Run, error) {
	t := &trial{Options: o, began: time.Now(), ledger: &faults.Ledger{}}
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

// run starts what serves in group; it ends with ctx.
func (t *trial) run(ctx context.Context, group *errgroup.Group) (run *history.Run, err error) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	if t.provider, err = webhookserver.Listen(ctx, "127.0.0.1:0", secret, t.Seed); err != nil {
		return nil, err
	}
	group.Go(func() error { return t.provider.Run(ctx) })
	t.enter("start")
	t.system, err = cluster.Start(ctx, cluster.Config{
		Tree: t.Tree, Dir: t.Dir, Tools: t.Tools, WebhookURL: t.provider.URL(), WebhookSecret: secret, OnEnd: t.ledger.End,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.system.Close()) }()
	if t.gauge, err = probe.New(t.system.PostgresDSN(), t.system.Brokers(), t.system.RedisAddr(cluster.Redis)); err != nil {
		return nil, err
	}
	defer t.gauge.Close()
	t.prepare()
	group.Go(func() error { t.progress(ctx); return nil })
	group.Go(func() error { t.memory.sample(ctx, t.system, t.ledger); return nil })
	t.Tell("the system is up after %s", t.since())
	if t.AtMost > 0 {
		t.end = time.Now().Add(t.AtMost - collecting)
		bounded, cancel := context.WithTimeoutCause(ctx, t.AtMost, fmt.Errorf("it took longer than %s", t.AtMost))
		defer cancel()
		ctx = bounded
	}
	return t.prove(ctx)
}

func (t *trial) prepare() {
	var targets []workload.Target
	for _, r := range t.system.Replicas(cluster.Todo) {
		targets = append(targets, workload.Target{HTTP: r.HTTP, GRPC: r.GRPC})
	}
	t.injector = faults.New(faults.Config{
		Seed: t.Seed, System: t.system, Gauge: t.gauge, Ledger: t.ledger, Log: t.Log,
		Requests: func() int { return t.workload.InFlight() },
		Behind:   t.behind,
		Poison:   func(ctx context.Context) error { return t.planter.Poison(ctx) },
		Batch:    func(ctx context.Context) error { return t.planter.Batch(ctx) },
	})
	t.workload = workload.New(workload.Config{
		Seed: t.Seed, Changes: t.calls(), Hot: hot, Clients: clients, Readers: t.Scenario.Readers, Targets: targets, Pace: t.pace, Log: t.Log,
	})
}

// prove is the run proper, on a system that is up.
func (t *trial) prove(ctx context.Context) (*history.Run, error) {
	run := &history.Run{
		Seed: t.Seed, Changes: t.Scenario.Changes, Began: time.Now(), Expected: t.Scenario.Expected(),
	}
	if t.Scenario.Replaced {
		t.enter("another topic")
		if err := t.injector.Replace(ctx); err != nil {
			return nil, fmt.Errorf("replace the topic: %w", err)
		}
	}
	// A client that knew the earlier topic would not read the new one.
	var err error
	if t.planter, err = rogueproducer.New(t.system.Brokers(), t.Seed); err != nil {
		return nil, err
	}
	defer t.planter.Close()
	t.enter("work and faults")
	if err := t.work(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	run.Ended = time.Now()
	t.enter("quiet")
	noisy := t.quiet(ctx)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	t.enter("collecting")
	run.Journal, run.Reads = t.workload.Journal(), t.workload.Reads()
	run.Poison, run.Copies = t.planter.Planted(), t.planter.Copied()
	if err := checker.Collect(ctx, t.sources(), run); err != nil {
		return nil, fmt.Errorf("collect the evidence: %w", err)
	}
	run.Received = t.provider.Received()
	if t.Scenario.Again && noisy == nil {
		t.enter("everything again")
		if err := t.again(ctx, run); err != nil {
			return nil, fmt.Errorf("replay everything: %w", err)
		}
	}
	run.Faults, run.Crashes, run.Deaths = t.ledger.Facts()
	run.Memory = t.memory.all()
	run.Complete = time.Now()
	return run, noisy
}

// work has clients, faults and copies side by side.
func (t *trial) work(ctx context.Context) error {
	copying, over := context.WithCancel(ctx)
	defer over()
	var copies errgroup.Group
	copies.Go(func() error { return t.planter.Copy(copying, t.Scenario.Copies*copyMore) })
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := t.workload.Run(working); err != nil {
			return fmt.Errorf("the clients: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := t.injector.Run(working, t.Scenario); err != nil {
			return fmt.Errorf("the faults: %w", err)
		}
		return nil
	})
	err := group.Wait()
	if err == nil && t.Scenario.Copies > 0 {
		t.awaitCopies(ctx)
	}
	over()
	return errors.Join(err, copies.Wait())
}

// awaitCopies waits until the copies that were to come have been written.
func (t *trial) awaitCopies(ctx context.Context) {
	last := -1
	for end := time.Now().Add(copyAtMost); ctx.Err() == nil && time.Now().Before(end); {
		now := len(t.planter.Copied())
		if now == last {
			return
		}
		last = now
		wait(ctx, copyLast)
	}
}

func (t *trial) sources() checker.Sources {
	s := checker.Sources{PostgresDSN: t.system.PostgresDSN(), Brokers: t.system.Brokers()}
	for _, r := range t.system.Replicas(cluster.Stats) {
		s.Stats = append(s.Stats, r.HTTP)
	}
	return s
}

func (t *trial) enter(phase string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = phase
}

func (t *trial) since() time.Duration { return time.Since(t.began).Round(100 * time.Millisecond) }
