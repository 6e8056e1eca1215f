package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

const observationsPerSecond = 5 // of each user

// observation is one request of an observer.
type observation struct {
	w        *Workload
	endpoint *endpoint
	user     *signin.User
	task     int64
}

// read is a request that shows tasks. It returns them and the status, or "" without a response.
type read struct {
	name string
	do   func(context.Context, observation) (tasks []task, status string)
}

// taskReads show one task and its past, listReads tasks of the user.
var (
	listReads = []read{
		{"GET /tasks", getTasks("/tasks?done=true&limit=100")},
		{"GET /tasks", getTasks("/tasks?sort=-priority&limit=100")},
		{"GET /tasks", getTasks("/tasks?q=Call&limit=100")},
		{"ListTasks", callForTasks(func(ctx context.Context, o observation) (tasks []task, err error) {
			resp, err := o.endpoint.grpc.tasks.ListTasks(ctx, &pb.ListTasksRequest{Limit: 100, Sort: "-id"})
			for _, t := range resp.GetTasks() {
				tasks = append(tasks, toTask(t))
			}
			return tasks, err
		})},
	}
	taskReads = []read{
		{"GET /tasks/{id}", getTask},
		{"GET /tasks/{id}/events", getTaskEvents},
		{"GetTask", callForTasks(func(ctx context.Context, o observation) ([]task, error) {
			resp, err := o.endpoint.grpc.tasks.GetTask(ctx, &pb.GetTaskRequest{Id: o.task})
			return []task{toTask(resp.GetTask())}, err
		})},
		{"ListTaskEvents", callForTasks(func(ctx context.Context, o observation) (tasks []task, err error) {
			resp, err := o.endpoint.grpc.tasks.ListTaskEvents(ctx, &pb.ListTaskEventsRequest{Id: o.task})
			for _, e := range resp.GetEvents() {
				tasks = append(tasks, toTask(e.GetTask()))
			}
			return tasks, err
		})},
	}
)

// foreignChanges are the changes that users request of the tasks of others.
var foreignChanges = []history.Operation{history.Update, history.Complete, history.Reopen, history.Delete}

// observe makes requests as a user until ctx ends, by turns for what belongs to it and for a hot task
// of another user.
func (w *Workload) observe(ctx context.Context, user int) {
	random := rand.New(rand.NewPCG(uint64(w.cfg.Seed), uint64(2<<32+user)))
	reads := slices.Concat(taskReads, listReads)
	for n := user; retry.Wait(ctx, time.Duration(random.Int64N(2*int64(time.Second)/observationsPerSecond))); n++ {
		owner, turn := user, n/2
		if n%2 == 1 && len(w.cfg.Users) > 1 {
			owner = (user + 1 + random.IntN(len(w.cfg.Users)-1)) % len(w.cfg.Users)
		}
		o := observation{w, &w.endpoints[random.IntN(len(w.endpoints))], w.cfg.Users[user], w.chooseHotTask(owner, random)}
		switch {
		case o.task == 0: // not created
		case owner == user:
			w.readOwn(ctx, o, reads[turn%len(reads)])
		default:
			w.requestForeign(ctx, o, turn)
		}
	}
}

// chooseHotTask returns the id of a hot task of the user, or 0.
func (w *Workload) chooseHotTask(user int, random *rand.Rand) int64 {
	users := len(w.cfg.Users)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hotTasks[user+users*random.IntN(len(w.hotTasks)/users)].ID
}

func (w *Workload) readOwn(ctx context.Context, o observation, r read) {
	if tasks, status := r.do(ctx, o); status == "200" || status == "OK" {
		w.sightings.add(o.user, r.name, o.endpoint.replica, tasks...)
	}
}

// requestForeign requests another user's task, with another request at each turn.
func (w *Workload) requestForeign(ctx context.Context, o observation, turn int) {
	turn %= len(taskReads) + 2*len(foreignChanges)
	if turn < len(taskReads) {
		_, status := taskReads[turn].do(ctx, o)
		w.recordForeign(o, taskReads[turn].name, status)
		return
	}
	turn -= len(taskReads)
	w.changeForeign(ctx, o, []string{"http", "grpc"}[turn%2], foreignChanges[turn/2])
}

// changeForeign requests a change of another user's task.
func (w *Workload) changeForeign(ctx context.Context, o observation, transport string, operation history.Operation) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	token, err := o.user.Token(ctx, o.endpoint.http.addr)
	if err != nil {
		return
	}
	r := request{token: token, operation: operation, id: o.task}
	switch operation {
	case history.Update:
		r.fields.Title = new("changed by another user")
	case history.Reopen:
		r.fields.Done = new(false)
	}
	resp := o.endpoint.transport(transport).send(ctx, r)
	if isSignedOut(resp.status) {
		o.user.Forget(token)
	}
	if resp.result == done || resp.result == refused {
		w.recordForeign(o, fmt.Sprintf("%s %s", transport, operation), resp.status)
	}
}

// recordForeign records a response to a request for another user's task.
func (w *Workload) recordForeign(o observation, request, status string) {
	if status == "" || isSignedOut(status) || isUnavailable(status) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.foreign = append(w.foreign, history.ForeignRequest{
		User: o.user.ID(), TaskID: o.task, Request: request, Replica: o.endpoint.replica, At: time.Now(), Status: status,
	})
}

// isUnavailable reports whether a status says that the request was not carried out, or that there
// was no response.
func isUnavailable(status string) bool {
	if code, err := strconv.Atoi(status); err == nil {
		return isServerError(code)
	}
	return slices.Contains([]string{"Canceled", "Unknown", "DeadlineExceeded", "Internal", "Unavailable"}, status)
}

func getTasks(path string) func(context.Context, observation) ([]task, string) {
	return func(ctx context.Context, o observation) (tasks []task, status string) {
		status = o.getJSON(ctx, path, &tasks)
		return tasks, status
	}
}

func getTask(ctx context.Context, o observation) ([]task, string) {
	var t task
	status := o.getJSON(ctx, fmt.Sprintf("/tasks/%d", o.task), &t)
	return []task{t}, status
}

func getTaskEvents(ctx context.Context, o observation) (tasks []task, status string) {
	var events []struct{ Task task }
	status = o.getJSON(ctx, fmt.Sprintf("/tasks/%d/events", o.task), &events)
	for _, e := range events {
		tasks = append(tasks, e.Task)
	}
	return tasks, status
}

// getJSON decodes a 200. It returns the status, or "" without a response.
func (o observation) getJSON(ctx context.Context, path string, into any) (status string) {
	resp := o.w.get(ctx, o.endpoint, o.user, path)
	if resp.status == 0 || resp.status == http.StatusOK && json.Unmarshal(resp.body, into) != nil {
		return ""
	}
	return strconv.Itoa(resp.status)
}

// callForTasks makes a gRPC call with the session of the user.
func callForTasks(call func(context.Context, observation) ([]task, error)) func(context.Context, observation) ([]task, string) {
	return func(ctx context.Context, o observation) ([]task, string) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		token, err := o.user.Token(ctx, o.endpoint.http.addr)
		if err != nil {
			return nil, ""
		}
		tasks, err := call(withToken(ctx, token), o)
		code := status.Code(err).String()
		if isSignedOut(code) {
			o.user.Forget(token)
		}
		return tasks, code
	}
}
