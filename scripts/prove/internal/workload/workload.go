// Package workload implements the clients of the test: many of them, over HTTP and gRPC and at
// every replica. A seed determines the plan of their calls, and each call is recorded with its
// outcome. Readers request the list meanwhile, to check read-your-writes.
//
// A client retries as the API allows. It repeats a creation with the same Idempotency-Key,
// completions and deletions because they are idempotent, and any other call only if the request
// was never sent. Any other outcome is unknown, and the checker resolves it.
//
// With users, the calls act as each of them in turn, also over the same connection. All users send
// the same idempotency keys. Observers read as each user and request the hot tasks of the others;
// watchers follow each user's event stream.
package workload

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

// maxArrears is how far the calls may fall behind their rate. The clients do not catch up on
// more, so that no outage ends in a burst.
const maxArrears = time.Second

// Target has the addresses of one replica.
type Target struct{ HTTP, GRPC string }

// Config describes a workload.
type Config struct {
	Seed     int64
	Calls    int // number of calls
	HotTasks int // tasks that all clients change concurrently; with users a multiple of their number
	Clients  int
	Users    []*signin.User // signed in; none for a service without sign-in
	Readers  int            // of the list
	Targets  []Target
	Stats    []string       // HTTP address of every replica of stats-service
	Rate     func() float64 // calls per second from the next call on; 0 or less for no limit
	Log      *slog.Logger
}

// Workload makes calls and records them. Its counters are safe for concurrent use.
type Workload struct {
	cfg       Config
	endpoints []endpoint
	calls     []history.Call // by number; a client owns its call until it is finished

	outstanding, finished atomic.Int64

	mu       sync.Mutex
	hotTasks []task // with the highest versions shown
	reads    []history.ListRead
	failures []history.ServerError
	foreign  []history.ForeignRequest

	sightings sightings
}

// endpoint has the transports to a replica, and whether the replica responds.
type endpoint struct {
	replica int
	http    httpTransport
	grpc    grpcTransport
	silent  atomic.Bool
}

// transport returns the transport with a name, see history.Call.
func (e *endpoint) transport(name string) transport {
	if name == "grpc" {
		return e.grpc
	}
	return e.http
}

// New returns a workload without connecting.
func New(cfg Config) *Workload {
	if len(cfg.Users) == 0 {
		cfg.Users = []*signin.User{nil}
	}
	return &Workload{
		cfg: cfg, endpoints: make([]endpoint, len(cfg.Targets)), hotTasks: make([]task, cfg.HotTasks),
		calls: make([]history.Call, cfg.Calls),
	}
}

// Run makes all calls and returns when the outcome of each is settled. If ctx ends first it
// returns its error, and the calls in flight become unknown. Call it once.
func (w *Workload) Run(ctx context.Context) error {
	pool := &http.Transport{MaxIdleConnsPerHost: w.cfg.Clients + w.cfg.Readers, IdleConnTimeout: time.Minute}
	defer pool.CloseIdleConnections()
	client := &http.Client{Transport: pool}
	for i, target := range w.cfg.Targets {
		conn, err := dial(target.GRPC)
		if err != nil {
			return fmt.Errorf("gRPC to %s: %w", target.GRPC, err)
		}
		defer conn.Close()
		e := &w.endpoints[i]
		e.replica, e.http, e.grpc = i, httpTransport{target.HTTP, client}, grpcTransport{pb.NewTaskServiceClient(conn)}
	}
	hot := min(w.cfg.HotTasks, w.cfg.Calls)
	if err := w.runCalls(ctx, 0, hot); err != nil {
		return err
	}
	var lastHot int64
	for _, t := range w.hotTasks {
		lastHot = max(lastHot, t.ID)
	}
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	for i := range w.cfg.Readers {
		readers.Go(func() { w.readLists(reading, i, lastHot) })
	}
	for i, addr := range w.cfg.Stats {
		readers.Go(func() { w.readStats(reading, client, i, addr) })
	}
	for i, user := range w.cfg.Users {
		if user != nil {
			readers.Go(func() { w.observe(reading, i) })
			readers.Go(func() { w.watchHTTP(reading, user) })
			readers.Go(func() { w.watchGRPC(reading, user) })
		}
	}
	err := w.runCalls(ctx, hot, w.cfg.Calls)
	stop()
	readers.Wait()
	return err
}

// runCalls lets the clients make the calls with these numbers, at the configured rate.
func (w *Workload) runCalls(ctx context.Context, from, to int) error {
	numbers := make(chan int)
	var clients sync.WaitGroup
	for i := range w.cfg.Clients {
		c := &client{w: w, number: i, tasks: make([][]task, len(w.cfg.Users))}
		clients.Go(func() {
			for number := range numbers {
				c.runCall(ctx, number)
			}
		})
	}
	err := w.dispatch(ctx, numbers, from, to)
	close(numbers)
	clients.Wait()
	return err
}

// dispatch sends the numbers at the configured rate.
func (w *Workload) dispatch(ctx context.Context, numbers chan<- int, from, to int) error {
	next := time.Now()
	for number := from; number < to; number++ {
		if perSecond := w.cfg.Rate(); perSecond > 0 {
			if !retry.Wait(ctx, time.Until(next)) {
				return ctx.Err()
			}
			if earliest := time.Now().Add(-maxArrears); next.Before(earliest) {
				next = earliest
			}
			next = next.Add(time.Duration(float64(time.Second) / perSecond))
		}
		select {
		case numbers <- number:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// InFlight returns the number of requests for a change without a response.
func (w *Workload) InFlight() int { return int(w.outstanding.Load()) }

// Finished returns the number of calls whose outcome is settled.
func (w *Workload) Finished() int { return int(w.finished.Load()) }

// Calls returns the started calls by number. Call it after Run.
func (w *Workload) Calls() []history.Call {
	return slices.DeleteFunc(slices.Clone(w.calls), func(c history.Call) bool { return c.Began.IsZero() })
}

// ServerErrors returns the responses with which a replica reported that it failed. Call it after Run.
func (w *Workload) ServerErrors() []history.ServerError { return w.failures }

func (w *Workload) recordServerError(replica int, request, status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, history.ServerError{At: time.Now(), Replica: replica, Request: request, Status: status})
}

// Reads returns the reads of the list. Call it after Run.
func (w *Workload) Reads() []history.ListRead { return w.reads }

// ForeignRequests returns the users' requests for tasks of others. Call it after Run.
func (w *Workload) ForeignRequests() []history.ForeignRequest { return w.foreign }

// Sightings returns the tasks that the users were shown. Call it after Run.
func (w *Workload) Sightings() []history.Sighting { return w.sightings.all() }
