package app

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"example.com/todo/contracts/event"
	pb "example.com/todo/contracts/gen/task"
)

// receivedEvent is an event as a watcher received it.
type receivedEvent struct {
	Seq     int64
	ID      string
	TaskID  int64
	Version int64
}

// watchClient is a client that watches, resumes with its token whenever its stream ends,
// and records what it received.
type watchClient struct {
	connect  func(ctx context.Context, token string, record func(token string, c *receivedEvent)) error
	user     int64         // whose events it watches; 0 without sign-in
	started  chan struct{} // closed when it has a position
	position atomic.Int64  // of its latest token
	streams  int

	received []receivedEvent
}

// watch watches until ctx ends.
func (f *watchClient) watch(ctx context.Context) {
	started := sync.OnceFunc(func() { close(f.started) })
	token := ""
	for ctx.Err() == nil {
		f.streams++
		_ = f.connect(ctx, token, func(next string, c *receivedEvent) {
			token = next
			if c != nil {
				f.received = append(f.received, *c)
			}
			position, _ := strconv.ParseInt(next, 10, 64)
			f.position.Store(position)
			started()
		})
	}
}

// authorize sets the token of the user's session, if there is sign-in.
func (u watchUser) authorize(request *http.Request) {
	if u.token != "" {
		request.Header.Set("Authorization", "Bearer "+u.token)
	}
}

// overGRPC watches a user's tasks with WatchTasks; conn chooses a server.
func overGRPC(conn func() *grpc.ClientConn, user watchUser) func(context.Context, string, func(string, *receivedEvent)) error {
	return func(ctx context.Context, token string, record func(string, *receivedEvent)) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if user.token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+user.token)
		}
		stream, err := pb.NewTaskServiceClient(conn()).WatchTasks(ctx, &pb.WatchTasksRequest{ResumeToken: token}, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		header, err := stream.Header()
		if err != nil {
			return err
		}
		if tokens := header.Get("resume-token"); len(tokens) == 1 {
			record(tokens[0], nil)
		}
		for {
			m, err := stream.Recv()
			if err != nil {
				return err
			}
			seq, err := strconv.ParseInt(m.GetResumeToken(), 10, 64)
			if err != nil {
				return err
			}
			record(m.GetResumeToken(), &receivedEvent{seq, m.GetEventId(), m.GetTask().GetId(), m.GetTask().GetVersion()})
		}
	}
}

// overHTTP watches a user's tasks with GET /events; addr chooses a server.
func overHTTP(addr func() string, user watchUser) func(context.Context, string, func(string, *receivedEvent)) error {
	return func(ctx context.Context, token string, record func(string, *receivedEvent)) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr()+"/events", http.NoBody)
		if err != nil {
			return err
		}
		if token != "" {
			request.Header.Set("Last-Event-ID", token)
		}
		user.authorize(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return readEvents(bufio.NewScanner(response.Body), record)
	}
}

// readEvents reads server-sent events by their standard: an event is dispatched at the
// empty line after it.
func readEvents(lines *bufio.Scanner, record func(string, *receivedEvent)) error {
	id, data := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if lines.Text() != "" || id == "" {
				continue // a comment
			}
			if data == "" {
				record(id, nil)
				continue
			}
			e, err := event.Parse([]byte(data))
			if err != nil {
				return err
			}
			seq, err := strconv.ParseInt(id, 10, 64)
			if err != nil {
				return err
			}
			record(id, &receivedEvent{seq, e.ID, e.TaskID, e.Task.Version})
			data = ""
		}
	}
	return lines.Err()
}
