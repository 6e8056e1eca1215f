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

// Target has the addresses of one replica.
type Target struct{ HTTP, GRPC string }

// Config describes a workload.
type Config struct {
	Seed     int64
	Calls    int // number of calls
	HotTasks int // tasks that all clients change concurrently
	Clients  int
	Readers  int // of the list
	Targets  []Target
	Rate     func() float64 // calls per second from now on; 0 or less for no limit
	Log      *slog.Logger
}

// Workload makes calls and records them. Its counters are safe for concurrent use.
type Workload struct {
	cfg       Config
	endpoints []endpoint
	hotTasks  []hotTask
	calls     []history.Call // by number; a client owns its call until it is finished

	outstanding, finished atomic.Int64

	mu    sync.Mutex
	reads []history.ListRead
}

// endpoint has the transports to a replica, and whether the replica responds.
type endpoint struct {
	http, grpc transport
	listURL    string
	silent     atomic.Bool
}

// New returns a workload without connecting.
func New(cfg Config) *Workload {
	return &Workload{
		cfg: cfg, endpoints: make([]endpoint, len(cfg.Targets)), hotTasks: make([]hotTask, cfg.HotTasks),
		calls: make([]history.Call, cfg.Calls),
	}
}

// Run makes all calls and returns when the outcome of each is settled. If ctx ends first it
// returns its error, and the calls in flight become unknown. Call it once.
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

// runCalls lets the clients make the calls with these numbers, at the configured rate.
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

// InFlight returns the number of requests for a change without a response.
func (w *Workload) InFlight() int { return int(w.outstanding.Load()) }

// Finished returns the number of calls whose outcome is settled.
func (w *Workload) Finished() int { return int(w.finished.Load()) }

// Calls returns the started calls by number. Call it after Run.
func (w *Workload) Calls() []history.Call {
	made := make([]history.Call, 0, len(w.calls))
	for _, call := range w.calls {
		if !call.Began.IsZero() {
			made = append(made, call)
		}
	}
	return made
}

// Reads returns the reads of the list. Call it after Run.
func (w *Workload) Reads() []history.ListRead { return w.reads }

func closeConn(conn *grpc.ClientConn) { _ = conn.Close() } // the run is over
