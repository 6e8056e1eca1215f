package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/printable"
)

// evil is long text with terminal control sequences and invisible characters.
var evil = "A\x1b]52;c;cHduZWQ=\x1b\\B\nC\tD\rE\u202eF\u2028G\u200bH\u009bI" + strings.Repeat("\u202e", 20_000)

// hostileService responds to each call with evil text.
type hostileService struct {
	pb.UnimplementedTaskServiceServer
}

func (hostileService) ListTasks(context.Context, *pb.ListTasksRequest) (*pb.ListTasksResponse, error) {
	return &pb.ListTasksResponse{Tasks: []*pb.Task{{Id: 1, Title: evil}}}, nil
}

func (hostileService) GetTask(context.Context, *pb.GetTaskRequest) (*pb.GetTaskResponse, error) {
	return &pb.GetTaskResponse{Task: &pb.Task{Id: 1, Title: evil}}, nil
}

func (hostileService) CreateTask(context.Context, *pb.CreateTaskRequest) (*pb.CreateTaskResponse, error) {
	return &pb.CreateTaskResponse{Task: &pb.Task{Id: 1, Title: evil}}, nil
}

func (hostileService) DeleteTask(context.Context, *pb.DeleteTaskRequest) (*pb.DeleteTaskResponse, error) {
	return nil, status.Error(codes.Internal, evil)
}

func (hostileService) ListTaskEvents(context.Context, *pb.ListTaskEventsRequest) (*pb.ListTaskEventsResponse, error) {
	return &pb.ListTaskEventsResponse{Events: []*pb.TaskEvent{{EventId: evil, EventType: evil, Task: &pb.Task{Title: evil}}}}, nil
}

func (hostileService) WatchTasks(_ *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	event := &pb.TaskEvent{EventType: evil, ResumeToken: evil, Task: &pb.Task{Title: evil}}
	return errors.Join(stream.Send(event), status.Error(codes.Internal, evil))
}

func TestOutputOfAHostileServiceIsPrintableAndBounded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterTaskServiceServer(server, hostileService{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	for _, command := range []string{"", "list", "get 1", "create A", "history 1", "watch", "delete 1"} {
		for _, output := range []string{"table", "json"} {
			got := runCommand(t.Context(), append(strings.Fields(command), "--addr", listener.Addr().String(), "--output", output)...)
			if got.Stdout+got.Stderr == "" {
				t.Errorf("%s: nothing is printed", command)
			}
			for _, printed := range []string{got.Stdout, got.Stderr} {
				if printable.EscapeLines(printed) != printed || strings.Contains(printed, "\t") {
					t.Errorf("%s as %s: %.300q", command, output, printed)
				}
				if strings.Count(printed, "\n") > 6 {
					t.Errorf("%s as %s: forged lines: %.300q", command, output, printed)
				}
				if output == "table" && len(printed) > 12<<10 {
					t.Errorf("%s: %d bytes", command, len(printed))
				}
			}
		}
	}
}

// closedPipe is the standard output of a process whose reader has exited.
type closedPipe struct{ io.Writer }

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestACommandEndsSilentlyWhenItsReaderHasExited(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.watcher.announcements = announcements()
	for _, command := range []string{"", "list", "watch", "list --output json"} {
		var stderr strings.Builder
		code := run(t.Context(), append(strings.Fields(command), "--addr", s.addr), strings.NewReader(""), closedPipe{}, &stderr)
		if code != exitOK || stderr.String() != "" {
			t.Errorf("%s: exit code %d, %q", command, code, stderr.String())
		}
	}
}
