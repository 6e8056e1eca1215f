package workload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/prove/internal/history"
)

// Target is where one replica listens.
type Target struct{ HTTP, GRPC string }

// Config says what a workload is.
type Config struct {
	Seed    int64
	Changes int // calls to make
	Hot     int // tasks that all clients change at once
	Clients int
	Readers int // of the list
	Targets []Target
	Pace    func() float64 // calls a second from now on; 0 or less: as many as the clients can
	Log     *slog.Logger
}

// Workload makes calls and writes down what came of them.
type Workload struct {
	cfg     Config
	ways    []way
	hot     []hotTask
	journal []history.Call // by number; each call is its client's until it is made

	outstanding, made, completed atomic.Int64

	mu    sync.Mutex
	reads []history.ListRead
}

// way is how a replica is reached, and how it does of late.
type way struct {
	web, rpc door
	list     string // the address of the list
	silent   atomic.Bool
}

// New returns a workload that has not begun. Nothing is connected yet.
func New(cfg Config) *Workload {
	return &Workload{
		cfg: cfg, ways: make([]way, len(cfg.Targets)), hot: make([]hotTask, cfg.Hot),
		journal: make([]history.Call, cfg.Changes),
	}
}

// Run makes all calls and returns when each is settled: done, refused, or given up
// as unknown. It returns the error of ctx when that ends first; calls that were
// under way are then unknown. It can be run once.
func (w *Workload) Run(ctx context.Context) error {
	transport := &http.Transport{MaxIdleConnsPerHost: w.cfg.Clients + w.cfg.Readers, IdleConnTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for i, target := range w.cfg.Targets {
		conn, err := dial(target.GRPC)
		if err != nil {
			return fmt.Errorf("gRPC to %s: %w", target.GRPC, err)
		}
		defer closeQuietly(conn)
		w.ways[i].web = web{"http://" + target.HTTP, client}
		w.ways[i].rpc = rpc{pb.NewTaskServiceClient(conn)}
		w.ways[i].list = "http://" + target.HTTP + "/tasks"
	}
	hot := min(w.cfg.Hot, w.cfg.Changes)
	if err := w.work(ctx, 0, hot); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	var watching errgroup.Group
	for i := range w.cfg.Readers {
		watching.Go(func() error { w.watch(reading, client, i); return nil })
	}
	err := w.work(ctx, hot, w.cfg.Changes)
	stop()
	return errors.Join(err, watching.Wait())
}

// work has the clients make the calls of these numbers, at the pace asked for.
func (w *Workload) work(ctx context.Context, from, to int) error {
	numbers := make(chan int)
	var clients errgroup.Group
	for i := range w.cfg.Clients {
		c := &client{w: w, number: i}
		clients.Go(func() error {
			for number := range numbers {
				c.make(ctx, number)
			}
			return nil
		})
	}
	err := hand(ctx, numbers, from, to, w.cfg.Pace)
	close(numbers)
	return errors.Join(err, clients.Wait())
}

// InFlight returns how many requests for a change are without an answer now.
func (w *Workload) InFlight() int { return int(w.outstanding.Load()) }

// Made returns how many calls are settled.
func (w *Workload) Made() int { return int(w.made.Load()) }

// Completions returns how many calls to complete a task were answered well. Some
// of these may have met a task that was done already.
func (w *Workload) Completions() int { return int(w.completed.Load()) }

// Journal returns the calls that were begun, by number. Call it after Run.
func (w *Workload) Journal() []history.Call {
	made := make([]history.Call, 0, len(w.journal))
	for _, call := range w.journal {
		if !call.Began.IsZero() {
			made = append(made, call)
		}
	}
	return made
}

// Reads returns what the list showed of the hot tasks. Call it after Run.
func (w *Workload) Reads() []history.ListRead { return w.reads }

func closeQuietly(conn *grpc.ClientConn) { _ = conn.Close() } // it ends with the run
