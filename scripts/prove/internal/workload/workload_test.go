package workload_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/workload"
)

func unlimitedRate() float64 { return 0 }

func newConfig(changes int, targets ...workload.Target) workload.Config {
	return workload.Config{
		Seed: 7, Calls: changes, HotTasks: 5, Clients: 8, Readers: 3, Targets: targets, Rate: unlimitedRate, Log: slog.New(slog.DiscardHandler),
	}
}

func runWorkload(t *testing.T, cfg workload.Config) *workload.Workload {
	t.Helper()
	w := workload.New(cfg)
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Finished() != cfg.Calls || len(w.Calls()) != cfg.Calls || w.InFlight() != 0 {
		t.Fatalf("%d finished, %d recorded, %d in flight; want %d, the same, 0", w.Finished(), len(w.Calls()), w.InFlight(), cfg.Calls)
	}
	return w
}

// countBy counts the calls by a property.
func countBy(calls []history.Call, property func(history.Call) string) map[string]int {
	n := map[string]int{}
	for _, c := range calls {
		n[property(c)]++
	}
	return n
}

func TestCallsAgreeWithTheChangesOfTheService(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	w := runWorkload(t, newConfig(1500, store.serve(t, 0, nil), store.serve(t, 1, nil)))
	calls := w.Calls()

	done := map[string]bool{}
	for _, d := range store.changes {
		if d.operation == "create" || d.operation == "change" {
			done[fmt.Sprint(d.operation, d.id, d.title)] = true
		}
	}
	for _, c := range calls {
		if c.Operation != history.Create && c.Operation != history.Update {
			continue
		}
		name := fmt.Sprint(c.Operation, c.TaskID, c.Title)
		if done[name] != (c.Outcome == history.Done) && c.Outcome != history.Unknown {
			t.Errorf("call %d is %s, applied: %t", c.Number, c.Outcome, done[name])
		}
		delete(done, name)
	}
	if len(done) > 0 {
		t.Errorf("done without a call: %v", done)
	}
	outcomes := countBy(calls, func(c history.Call) string { return string(c.Outcome) })
	if outcomes["refused"] < 10 || outcomes["done"] < 1350 || outcomes["unknown"] > 30 {
		t.Errorf("outcomes: %v", outcomes)
	}
	counts := countBy(calls, func(c history.Call) string { return fmt.Sprint(c.Transport, c.Replica) })
	for _, endpoint := range []string{"http0", "http1", "grpc0", "grpc1"} {
		if counts[endpoint] < 300 {
			t.Errorf("calls by endpoint: %v", counts)
		}
	}
}

func TestHotTasksAreCreatedFirstSharedByClientsAndNeverDeleted(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	cfg := newConfig(1000, store.serve(t, 0, nil))
	w := runWorkload(t, cfg)
	clients := map[int64]map[int]bool{}
	for _, c := range w.Calls() {
		if clients[c.TaskID] == nil {
			clients[c.TaskID] = map[int]bool{}
		}
		clients[c.TaskID][c.Client] = true
	}
	for id := int64(1); id <= int64(cfg.HotTasks); id++ {
		if len(clients[id]) < cfg.Clients/2 || store.tasks[id] == nil {
			t.Errorf("task %d is used by clients %v, exists: %t", id, clients[id], store.tasks[id] != nil)
		}
	}
	for id, by := range clients {
		if id > int64(cfg.HotTasks) && len(by) > 1 {
			t.Errorf("task %d belongs to one client and is used by %v", id, by)
		}
	}
}

func TestClientRepeatsACallWithoutResponseOnlyIfSafe(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 1))
	lose := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(10) == 0
	}
	w := runWorkload(t, newConfig(1000, store.serve(t, 0, lose), store.serve(t, 1, lose)))
	times := map[string]int{}
	for _, d := range store.changes {
		if d.operation == "create" || d.operation == "change" {
			times[d.title]++
		}
	}
	outcomes := map[history.Operation]map[history.Outcome]int{}
	for _, c := range w.Calls() {
		if outcomes[c.Operation] == nil {
			outcomes[c.Operation] = map[history.Outcome]int{}
		}
		outcomes[c.Operation][c.Outcome]++
		switch {
		case c.Operation == history.Create && (c.Outcome != history.Done || times[c.Title] != 1):
			t.Errorf("creation %d is %s, made %d times", c.Number, c.Outcome, times[c.Title])
		case c.Operation == history.Update && times[c.Title] > 1:
			t.Errorf("change %d was made %d times", c.Number, times[c.Title])
		}
	}
	if outcomes[history.Update][history.Unknown] < 10 || outcomes[history.Reopen][history.Unknown] < 3 || outcomes[history.Delete][history.Done] < 10 {
		t.Errorf("outcomes: %v", outcomes)
	}
}

func TestCallsHaveKnownOutcomesWhileOneReplicaIsDown(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	ports, err := port.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	unused := port.Addr(ports.Ports[0])
	w := runWorkload(t, newConfig(300, workload.Target{HTTP: unused, GRPC: unused}, store.serve(t, 1, nil)))
	for _, c := range w.Calls() {
		if c.Outcome == history.Unknown && c.Status != "DeadlineExceeded" {
			t.Errorf("%+v", c)
		}
	}
}

func TestReadersRecordTheVersionsOfHotTasks(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	cfg := newConfig(200, store.serve(t, 0, nil), store.serve(t, 1, nil))
	cfg.Rate = func() float64 { return 200 }
	w := runWorkload(t, cfg)
	if len(w.Reads()) < 5 {
		t.Fatalf("%d reads", len(w.Reads()))
	}
	for _, r := range w.Reads() {
		if len(r.Versions) != cfg.HotTasks || r.Versions[1] < 1 || r.CacheStatus != "todo; hit" || !r.Ended.After(r.Began) {
			t.Errorf("read %+v", r)
		}
	}
}

func TestWorkloadIsDeterministicForASeed(t *testing.T) {
	t.Parallel()
	titles := func() []string {
		store := newTaskStore()
		cfg := newConfig(300, store.serve(t, 0, nil))
		cfg.Clients = 1
		var all []string
		for _, c := range runWorkload(t, cfg).Calls() {
			all = append(all, fmt.Sprint(c.Transport, c.Key, c.Title, c.Priority))
		}
		return all
	}
	first, second := titles(), titles()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}

func TestRunEndsWithItsContextAndKeepsTheCalls(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	cfg := newConfig(100_000, store.serve(t, 0, nil))
	cfg.Rate = func() float64 { return 300 }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, began := workload.New(cfg), time.Now()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for tick := time.Tick(5 * time.Millisecond); w.Finished() < 100; {
		<-tick
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	// The hot tasks and the other calls each start with one call at once.
	if most := int(time.Since(began).Seconds()*300) + 2; len(w.Calls()) > most || len(w.Calls()) != w.Finished() {
		t.Errorf("%d recorded, %d finished; at most %d", len(w.Calls()), w.Finished(), most)
	}
}

func TestServerErrorsAreTheResponsesThatSaySo(t *testing.T) {
	t.Parallel()
	ports, err := port.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	unused := port.Addr(ports.Ports[0])
	store := newTaskStore()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(failing.Close)
	every := func(n int32) func() bool {
		var calls atomic.Int32
		return func() bool { return calls.Add(1)%n == 0 }
	}
	// Over HTTP the first replica drops responses, and over gRPC it responds Unavailable. The second replica is down.
	cfg := newConfig(300, store.serve(t, 0, every(5)), workload.Target{HTTP: unused, GRPC: unused})
	cfg.Rate, cfg.Stats = func() float64 { return 300 }, []string{failing.Listener.Addr().String(), unused}
	w := runWorkload(t, cfg)
	found := map[string]int{}
	for _, e := range w.ServerErrors() {
		request, _, _ := strings.Cut(e.Request, " ")
		found[fmt.Sprintf("%s by replica %d: %s", request, e.Replica, e.Status)]++
		if e.At.IsZero() || e.Request == "" {
			t.Errorf("%+v", e)
		}
	}
	if found["grpc by replica 0: Unavailable"] < 10 || found["GET by replica 0: 503"] == 0 || len(found) != 2 {
		t.Errorf("server errors: %v", found)
	}
}

func TestServerErrorsHaveTheStatusesOfHTTPFrom500On(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	target := store.serve(t, 0, nil)
	behind, err := url.Parse("http://" + target.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	statuses, requests := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}, atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1)) % 10
		switch {
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusGatewayTimeout)
		case n < len(statuses):
			w.WriteHeader(statuses[n])
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	target.HTTP = server.Listener.Addr().String()
	cfg := newConfig(300, target)
	cfg.Rate = func() float64 { return 300 }
	w := runWorkload(t, cfg)
	found := map[string]int{}
	for _, e := range w.ServerErrors() {
		kind := "change"
		if e.Request == "GET /tasks" {
			kind = "list"
		}
		found[kind+" "+e.Status]++
	}
	for _, want := range []string{"change 500", "change 503", "list 504"} {
		if found[want] < 3 {
			t.Errorf("too few of %s in the server errors %v", want, found)
		}
		delete(found, want)
	}
	if len(found) > 0 {
		t.Errorf("other server errors: %v", found)
	}
}
