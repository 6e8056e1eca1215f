package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/signin"
)

// reconnectDelay is how long a watcher waits before it connects to the other replica.
const reconnectDelay = 500 * time.Millisecond

// watchHTTP follows the user's events as server-sent events, at one replica after another, until
// ctx ends.
func (w *Workload) watchHTTP(ctx context.Context, user *signin.User) {
	lastID := ""
	for n := 0; retry.Wait(ctx, reconnectDelay); n++ {
		lastID = w.followHTTP(ctx, user, &w.endpoints[n%len(w.endpoints)], lastID)
	}
}

// followHTTP follows one stream until it ends, and returns the id to resume from.
func (w *Workload) followHTTP(ctx context.Context, user *signin.User, e *endpoint, lastID string) string {
	token, err := user.Token(ctx, e.http.addr)
	if err != nil {
		return lastID
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.http.addr+"/events", http.NoBody)
	if err != nil {
		return lastID
	}
	setToken(req, token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := e.http.client.Do(req)
	if err != nil {
		return lastID
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		user.Forget(token)
		return lastID
	case http.StatusGone:
		return ""
	default:
		return lastID
	}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		switch field, value, _ := strings.Cut(lines.Text(), ": "); {
		case field == "id":
			lastID = value
		case field == "event" && value == "unauthenticated":
			user.Forget(token)
			return lastID
		case field == "data":
			var event struct{ Task task }
			if json.Unmarshal([]byte(value), &event) == nil && event.Task.ID != 0 {
				w.sightings.add(user, "GET /events", e.replica, event.Task)
			}
		}
	}
	return lastID
}

// watchGRPC follows the user's events over gRPC, as watchHTTP does.
func (w *Workload) watchGRPC(ctx context.Context, user *signin.User) {
	resumeToken := ""
	for n := 1; retry.Wait(ctx, reconnectDelay); n++ {
		resumeToken = w.followGRPC(ctx, user, &w.endpoints[n%len(w.endpoints)], resumeToken)
	}
}

func (w *Workload) followGRPC(ctx context.Context, user *signin.User, e *endpoint, resumeToken string) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token, err := user.Token(ctx, e.http.addr)
	if err != nil {
		return resumeToken
	}
	stream, err := e.grpc.tasks.WatchTasks(withToken(ctx, token), &pb.WatchTasksRequest{ResumeToken: resumeToken})
	for err == nil {
		var event *pb.TaskEvent
		if event, err = stream.Recv(); err == nil {
			resumeToken = event.GetResumeToken()
			if event.GetTask() != nil {
				w.sightings.add(user, "WatchTasks", e.replica, toTask(event.GetTask()))
			}
		}
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		user.Forget(token)
	case codes.OutOfRange:
		return ""
	}
	return resumeToken
}
