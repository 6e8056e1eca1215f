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
	Seed     int64
	Calls    int // calls to make
	HotTasks int // tasks that all clients change at once
	Clients  int
	Readers  int // of the list
	Targets  []Target
	Rate     func() float64 // calls a second from now on; 0 or less: as many as the clients can
	Log      *slog.Logger
}

// Workload makes calls and writes down what came of them.
type Workload struct {
	cfg       Config
	endpoints []endpoint
	hotTasks  []hotTask
	calls     []history.Call // by number; each call is its client's until it is made

	outstanding, finished, completed atomic.Int64

	mu    sync.Mutex
	reads []history.ListRead
}

// endpoint is how a replica is reached, and how it does of late.
type endpoint struct {
	http, grpc transport
	listURL    string // the address of the list
	silent     atomic.Bool
}

// New returns a workload that has not begun. Nothing is connected yet.
func New(cfg Config) *Workload {
	return &Workload{
		cfg: cfg, endpoints: make([]endpoint, len(cfg.Targets)), hotTasks: make([]hotTask, cfg.HotTasks),
		calls: make([]history.Call, cfg.Calls),
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
		defer closeConn(conn)
		w.endpoints[i].http = httpTransport{"http://" + target.HTTP, client}
		w.endpoints[i].grpc = grpcTransport{pb.NewTaskServiceClient(conn)}
		w.endpoints[i].listURL = "http://" + target.HTTP + "/tasks"
	}
	hot := min(w.cfg.HotTasks, w.cfg.Calls)
	if err := w.runCalls(ctx, 0, hot); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	var watching errgroup.Group
	for i := range w.cfg.Readers {
		watching.Go(func() error { w.readLists(reading, client, i); return nil })
	}
	err := w.runCalls(ctx, hot, w.cfg.Calls)
	stop()
	return errors.Join(err, watching.Wait())
}

// runCalls has the clients make the calls of these numbers, at the pace asked for.
func (w *Workload) runCalls(ctx context.Context, from, to int) error {
	numbers := make(chan int)
	var clients errgroup.Group
	for i := range w.cfg.Clients {
		c := &client{w: w, number: i}
		clients.Go(func() error {
			for number := range numbers {
				c.runCall(ctx, number)
			}
			return nil
		})
	}
	err := dispatch(ctx, numbers, from, to, w.cfg.Rate)
	close(numbers)
	return errors.Join(err, clients.Wait())
}

// InFlight returns how many requests for a change are without an answer now.
func (w *Workload) InFlight() int { return int(w.outstanding.Load()) }

// Finished returns how many calls are settled.
func (w *Workload) Finished() int { return int(w.finished.Load()) }

// Completions returns how many calls to complete a task were answered well. Some
// of these may have met a task that was done already.
func (w *Workload) Completions() int { return int(w.completed.Load()) }

// Calls returns the calls that were begun, by number. Call it after Run.
func (w *Workload) Calls() []history.Call {
	made := make([]history.Call, 0, len(w.calls))
	for _, call := range w.calls {
		if !call.Began.IsZero() {
			made = append(made, call)
		}
	}
	return made
}

// Reads returns what the list showed of the hot tasks. Call it after Run.
func (w *Workload) Reads() []history.ListRead { return w.reads }

func closeConn(conn *grpc.ClientConn) { _ = conn.Close() } // it ends with the run
