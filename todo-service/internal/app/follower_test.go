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

	"example.com/todo/contracts/event"
	pb "example.com/todo/contracts/gen/task"
)

// change is what a watcher was told of one event.
type change struct {
	Seq     int64
	ID      string
	TaskID  int64
	Version int64
}

// follower is a client that watches, comes back with its token whenever its
// stream ends, and keeps what it was told.
type follower struct {
	connect func(ctx context.Context, token string, note func(token string, c *change)) error
	began   chan struct{} // closed when it has a place
	place   atomic.Int64  // of its last token
	streams int

	told []change
}

// follow watches until ctx ends.
func (f *follower) follow(ctx context.Context) {
	began := sync.OnceFunc(func() { close(f.began) })
	token := ""
	for ctx.Err() == nil {
		f.streams++
		_ = f.connect(ctx, token, func(next string, c *change) {
			token = next
			if c != nil {
				f.told = append(f.told, *c)
			}
			place, _ := strconv.ParseInt(next, 10, 64)
			f.place.Store(place)
			began()
		})
	}
}

// overGRPC watches by WatchTasks; conn picks a server.
func overGRPC(conn func() *grpc.ClientConn) func(context.Context, string, func(string, *change)) error {
	return func(ctx context.Context, token string, note func(string, *change)) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := pb.NewTaskServiceClient(conn()).WatchTasks(ctx, &pb.WatchTasksRequest{ResumeToken: token}, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		header, err := stream.Header()
		if err != nil {
			return err
		}
		if place := header.Get("resume-token"); len(place) == 1 {
			note(place[0], nil)
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
			note(m.GetResumeToken(), &change{seq, m.GetEventId(), m.GetTask().GetId(), m.GetTask().GetVersion()})
		}
	}
}

// overHTTP watches by GET /events; addr picks a server.
func overHTTP(addr func() string) func(context.Context, string, func(string, *change)) error {
	return func(ctx context.Context, token string, note func(string, *change)) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr()+"/events", http.NoBody)
		if err != nil {
			return err
		}
		if token != "" {
			request.Header.Set("Last-Event-ID", token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return readEvents(bufio.NewScanner(response.Body), note)
	}
}

// readEvents reads server-sent events as the standard wants it: an event counts
// once the empty line behind it has come.
func readEvents(lines *bufio.Scanner, note func(string, *change)) error {
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
				note(id, nil)
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
			note(id, &change{seq, e.ID, e.TaskID, e.Task.Version})
			data = ""
		}
	}
	return lines.Err()
}
