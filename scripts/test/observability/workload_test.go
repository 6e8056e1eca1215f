package observability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/testenv/testca"
)

// The limits of the system under test, low enough to be reached.
const (
	limitRequests = 20
	maxWatchers   = 6
	maxPerClient  = 2
	maxConns      = 80
)

// roundInterval is the pause between two rounds of about 30 requests.
const roundInterval = 150 * time.Millisecond

// workload makes requests of every kind until it is stopped. Failures are a part of it:
// what it sends is right or wrong on purpose, and faults hit it. The same seed chooses
// the same titles, priorities and addresses.
type workload struct {
	todo, stats string // the bases of the URLs
	tasks       pb.TaskServiceClient
	random      *rand.Rand
}

// startWorkload returns a function that stops the workload and waits for its last request. ca issued the certificate of
// the gRPC server.
func startWorkload(t *testing.T, s *system, ca *testca.CA) (stop func()) {
	t.Helper()
	conn, err := grpc.NewClient(s.env["TODO_GRPC_ADDR"], grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(ca.Pool(), "")))
	if err != nil {
		t.Fatal(err)
	}
	w := &workload{
		todo: "http://" + s.env["TODO_HTTP_ADDR"], stats: "http://" + s.env["STATS_HTTP_ADDR"],
		tasks: pb.NewTaskServiceClient(conn), random: rand.New(rand.NewPCG(1, 2)),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(roundInterval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			w.overHTTP(ctx)
			w.overGRPC(ctx)
			<-ticker.C
		}
	})
	// More watchers than the process allows, and more of one client than a client may have.
	for i := range maxWatchers {
		running.Go(func() { w.watch(ctx, fmt.Sprintf("198.51.100.%d", i)) })
		running.Go(func() { w.watch(ctx, "198.51.100.255") })
	}
	stop = func() {
		cancel()
		running.Wait()
		_ = conn.Close()
	}
	t.Cleanup(stop)
	return stop
}

// completeTask creates and completes a task, unless one of the two requests fails.
func completeTask(t *testing.T, s *system) {
	t.Helper()
	w := &workload{todo: "http://" + s.env["TODO_HTTP_ADDR"], random: rand.New(rand.NewPCG(3, 4))}
	w.send(t.Context(), http.MethodPatch, fmt.Sprintf("/tasks/%d/done", w.create(t.Context())), "")
}

// overHTTP sends one round of requests: tasks through their life, lists, and what is refused.
func (w *workload) overHTTP(ctx context.Context) {
	for range 3 {
		id := w.create(ctx)
		path := fmt.Sprintf("/tasks/%d", id)
		for range 3 {
			w.send(ctx, http.MethodGet, "/tasks", "")
		}
		w.send(ctx, http.MethodGet, path, "")
		w.send(ctx, http.MethodPatch, path, fmt.Sprintf(`{"priority":%d}`, w.random.IntN(100)))
		w.send(ctx, http.MethodPatch, path+"/done", "")
	}
	id := w.create(ctx)
	path := fmt.Sprintf("/tasks/%d", id)
	w.send(ctx, http.MethodPatch, path+"/done", "")
	w.send(ctx, http.MethodPatch, path, `{"done":false}`)
	w.send(ctx, http.MethodGet, path+"/events", "")
	w.send(ctx, http.MethodDelete, path, "")
	w.send(ctx, http.MethodGet, "/tasks?done=true", "")
	w.send(ctx, http.MethodGet, "/tasks?q=milk", "")

	w.send(ctx, http.MethodGet, "/tasks/999999999", "")
	w.send(ctx, http.MethodGet, "/nowhere", "")
	w.send(ctx, http.MethodPost, "/tasks", `{"title":""}`)
	w.send(ctx, http.MethodPost, "/tasks", `not JSON`)
	for range 3 { // one client, soon over its budget
		w.request(ctx, http.MethodGet, w.todo+"/tasks", "", "198.51.100.254")
	}
	w.request(ctx, http.MethodGet, w.stats+"/stats", "", "")
	w.request(ctx, http.MethodGet, w.stats+"/stats?days=0", "", "")
}

// create creates a task and returns its id, or 0.
func (w *workload) create(ctx context.Context) int64 {
	body := w.send(ctx, http.MethodPost, "/tasks", fmt.Sprintf(`{"title":"Task %d","priority":%d}`, w.random.IntN(1000), w.random.IntN(100)))
	var task struct{ ID int64 }
	_ = json.Unmarshal(body, &task)
	return task.ID
}

// send sends a request to todo-service from an address of its own.
func (w *workload) send(ctx context.Context, method, path, body string) []byte {
	return w.request(ctx, method, w.todo+path, body, w.address())
}

func (w *workload) address() string {
	return fmt.Sprintf("198.%d.%d.%d", 18+w.random.IntN(2), w.random.IntN(256), w.random.IntN(256))
}

// request returns the body of the answer, or nil.
func (w *workload) request(ctx context.Context, method, url, body, client string) []byte {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", client)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return answer
}

// overGRPC makes one round of calls, of every method.
func (w *workload) overGRPC(ctx context.Context) {
	from := func(addr string) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "x-forwarded-for", addr)
	}
	own := from(w.address())
	created, _ := w.tasks.CreateTask(own, &pb.CreateTaskRequest{Title: fmt.Sprintf("Call %d", w.random.IntN(1000))})
	id := created.GetTask().GetId()
	_, _ = w.tasks.GetTask(own, &pb.GetTaskRequest{Id: id})
	_, _ = w.tasks.ListTasks(own, &pb.ListTasksRequest{Limit: 10})
	_, _ = w.tasks.UpdateTask(own, &pb.UpdateTaskRequest{Id: id, Priority: new(int32(w.random.IntN(100)))})
	_, _ = w.tasks.CompleteTask(own, &pb.CompleteTaskRequest{Id: id})
	_, _ = w.tasks.ListTaskEvents(own, &pb.ListTaskEventsRequest{Id: id})
	_, _ = w.tasks.DeleteTask(own, &pb.DeleteTaskRequest{Id: id})
	_, _ = w.tasks.GetTask(own, &pb.GetTaskRequest{Id: 999_999_999})
	_, _ = w.tasks.CreateTask(own, &pb.CreateTaskRequest{})
	for range 3 { // one client, soon over its budget
		_, _ = w.tasks.ListTasks(from("198.51.100.253"), &pb.ListTasksRequest{Limit: 1})
	}
}

// watch opens streams of changes until ctx ends, over both transports in turn.
func (w *workload) watch(ctx context.Context, client string) {
	for ctx.Err() == nil {
		stream, cancel := context.WithTimeout(ctx, 2*time.Second)
		w.request(stream, http.MethodGet, w.todo+"/events", "", client)
		<-stream.Done()
		cancel()
		stream, cancel = context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "x-forwarded-for", client), 2*time.Second)
		if events, err := w.tasks.WatchTasks(stream, &pb.WatchTasksRequest{}); err == nil {
			for err == nil {
				_, err = events.Recv()
			}
		}
		<-stream.Done()
		cancel()
	}
}
