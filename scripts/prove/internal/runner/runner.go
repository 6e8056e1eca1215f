// Package runner implements the test runner: it takes one experiment from the start of the
// cluster to the complete history, which the checker judges.
//
//	start ──> replace topic ──> workload ──────┐
//	           (scenario)       faults ────────┼──> quiesce ──> collect ──> replay ──> history
//	                            copies, poison ┘                          (scenario)
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
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/toolchain"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/faults"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
	"example.com/todo/scripts/prove/internal/rogueproducer"
	"example.com/todo/scripts/prove/internal/signin"
	"example.com/todo/scripts/prove/internal/webhookserver"
	"example.com/todo/scripts/prove/internal/workload"
)

// Options describe one run.
type Options struct {
	Seed     int64
	Scenario faults.Scenario
	Tree     string // source tree of the services
	Released Released
	Dir      string // folder of the run
	Tools    toolchain.Tools
	Log      *slog.Logger
	Printf   func(format string, args ...any) // prints a line of progress
	Timeout  time.Duration                    // from when the cluster is up until the history is complete; 0 for no limit
}

// Released is the released version, which a scenario deploys Options.Tree over.
type Released struct {
	Tree string // source tree; "" if the scenario does not need it
	Name string // of the revision
}

const (
	hotTasks = 20
	clients  = 32
	users    = 5 // and an administrator: fewer than may sign in from one address at the same time
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
	admin     *signin.User   // nil without sign-in
	users     []*signin.User // none without sign-in

	deadline time.Time // for quiescing; zero without a limit

	mu           sync.Mutex
	memory       []history.MemorySample
	lastProgress probe.Progress // when the database last responded
}

// Run runs one experiment and stops everything that it started. The history is complete if the
// error is nil or ErrNotQuiescent.
func Run(ctx context.Context, o Options) (*history.Run, error) {
	e := &experiment{Options: o, startedAt: time.Now(), recorder: &faults.Recorder{}}
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	var run *history.Run
	group.Go(func() (err error) {
		defer stop()
		run, err = e.run(ctx, group)
		return err
	})
	err := group.Wait()
	return run, err
}

// run starts the cluster and its observers, which run in group until ctx ends.
func (e *experiment) run(ctx context.Context, group *errgroup.Group) (run *history.Run, err error) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))
	if e.webhooks, err = webhookserver.Listen(ctx, "127.0.0.1:0", secret, e.Seed); err != nil {
		return nil, err
	}
	group.Go(func() error { return e.webhooks.Run(ctx) })
	e.recorder.SetStage("start")
	e.cluster, err = cluster.Start(ctx, cluster.Config{
		Tree: e.Tree, ReleasedTree: e.Released.Tree, Dir: e.Dir, Tools: e.Tools, WebhookURL: e.webhooks.URL(), WebhookSecret: secret,
		SignIn: e.Scenario.SignIn, OnExit: e.recorder.RecordExit,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.cluster.Close(ctx)) }()
	if e.Scenario.SignIn {
		if err := e.createUsers(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.configure(); err != nil {
		return nil, err
	}
	defer e.probe.Close()
	group.Go(func() error { e.reportProgress(ctx); return nil })
	group.Go(func() error { e.sampleMemory(ctx); return nil })
	e.Printf("the cluster is up after %s", time.Since(e.startedAt).Round(100*time.Millisecond))
	if e.Timeout > 0 {
		e.deadline = time.Now().Add(e.Timeout - collectReserve)
		bounded, cancel := context.WithTimeoutCause(ctx, e.Timeout, fmt.Errorf("the run took longer than %s", e.Timeout))
		defer cancel()
		ctx = bounded
	}
	return e.execute(ctx)
}

func (e *experiment) configure() (err error) {
	cfg := probe.Config{
		PostgresDSN: e.cluster.PostgresDSN(), Brokers: e.cluster.Brokers(), Redis: e.cluster.RedisAddr(cluster.Redis),
	}
	cfg.Admin, cfg.Users = e.admin, e.users
	for _, r := range e.cluster.Replicas(cluster.Stats) {
		cfg.Stats = append(cfg.Stats, r.HTTP)
	}
	for _, r := range e.cluster.Replicas(cluster.Todo) {
		cfg.Todo = append(cfg.Todo, r.HTTP)
	}
	if e.probe, err = probe.New(cfg); err != nil {
		return err
	}
	var targets []workload.Target
	for _, r := range e.cluster.Replicas(cluster.Todo) {
		targets = append(targets, workload.Target{HTTP: r.HTTP, GRPC: r.GRPC})
	}
	e.injector = faults.New(faults.Config{
		Seed: e.Seed, Cluster: e.cluster, Probe: e.probe, Recorder: e.recorder, Log: e.Log,
		Requests:         func() int { return e.workload.InFlight() },
		Backlog:          e.backlog,
		WritePoison:      func(ctx context.Context) error { return e.producer.WritePoison(ctx) },
		WriteUndecodable: func(ctx context.Context) error { return e.producer.WriteUndecodableBatch(ctx) },
	})
	e.workload = workload.New(workload.Config{
		Seed: e.Seed, Calls: e.plannedCalls(), HotTasks: hotTasks, Clients: clients, Users: e.users,
		Readers: e.Scenario.Readers, Targets: targets, Stats: cfg.Stats, Rate: e.rate, Log: e.Log,
	})
	return nil
}

// execute runs the phases on a cluster that is up.
func (e *experiment) execute(ctx context.Context) (*history.Run, error) {
	run := &history.Run{
		Seed: e.Seed, Changes: e.Scenario.Changes, StartedAt: time.Now(), Expected: e.Scenario.Expected(), Released: e.Released.Name,
	}
	if e.Scenario.ReplaceTopic {
		e.recorder.SetStage("replace topic")
		if err := e.injector.ReplaceTopic(ctx); err != nil {
			return nil, fmt.Errorf("replace the topic: %w", err)
		}
	}
	// Created after the replacement, because a client that knew the old topic would not read the
	// new one.
	var err error
	if e.producer, err = rogueproducer.New(e.cluster.Brokers(), e.Seed); err != nil {
		return nil, err
	}
	defer e.producer.Close()
	e.recorder.SetStage("workload and faults")
	if err := e.runWorkload(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	run.EndedAt = time.Now()
	e.recorder.SetStage("quiesce")
	quiesceErr := e.quiesce(ctx)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	e.recorder.SetStage("collect")
	run.Calls, run.Reads, run.ServerErrors = e.workload.Calls(), e.workload.Reads(), e.workload.ServerErrors()
	run.Sightings, run.ForeignRequests = e.workload.Sightings(), e.workload.ForeignRequests()
	run.Poison, run.Copies = e.producer.Poison(), e.producer.Copies()
	if err := e.probe.Collect(ctx, run); err != nil {
		return nil, fmt.Errorf("collect the history: %w", err)
	}
	run.Deliveries = e.webhooks.Deliveries()
	if e.Scenario.Replay && quiesceErr == nil {
		e.recorder.SetStage("replay")
		if err := e.replayAndCollect(ctx, run); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	run.Faults, run.Crashes, run.Exits = e.recorder.Recorded()
	run.Shares = e.recorder.Shares()
	for _, user := range e.users {
		run.SignIns = append(run.SignIns, user.SignIns()...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	run.Memory = slices.Clone(e.memory)
	run.CollectedAt = time.Now()
	return run, quiesceErr
}

// runWorkload runs clients, faults and copies side by side.
func (e *experiment) runWorkload(ctx context.Context) error {
	copying, stopCopies := context.WithCancel(ctx)
	defer stopCopies()
	var copies errgroup.Group
	copies.Go(func() error { return e.producer.WriteCopies(copying, e.Scenario.CopyFraction*copyOversampling) })
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error { return e.workload.Run(working) })
	group.Go(func() error { return e.injector.Run(working, e.Scenario) })
	err := group.Wait()
	if err == nil && e.Scenario.CopyFraction > 0 {
		e.awaitCopies(ctx)
	}
	stopCopies()
	return errors.Join(err, copies.Wait())
}

// awaitCopies waits until the scheduled copies have been written.
func (e *experiment) awaitCopies(ctx context.Context) {
	last := -1
	for end := time.Now().Add(copyTimeout); ctx.Err() == nil && time.Now().Before(end); {
		now := len(e.producer.Copies())
		if now == last {
			return
		}
		last = now
		retry.Wait(ctx, copyIdleTime)
	}
}
