package grpcapi

import (
	"context"
	"iter"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/todo-service/internal/task"
)

// resumeTokenKey is the key of a place in headers and trailers.
const resumeTokenKey = "resume-token"

// writeStallTimeout is how long a client of a stream may read nothing before it is told to
// resume.
const writeStallTimeout = 10 * time.Second

// Watcher follows the log of changes. Watch returns every announcement behind the
// place that token names, in order, until ctx ends; an empty token means what
// comes once Watch has returned. A bookmark begins the sequence, and comes
// whenever nothing happens for a while. What is no token is refused
// (fault.Invalid), and so is one that is no place in the log (fault.Gone). The
// sequence ends with the error that ended it.
type Watcher interface {
	Watch(ctx context.Context, token string) (iter.Seq2[task.Announcement, error], error)
}

// WatchTasks sends changes as they happen. The header goes out when the watch has
// begun, and names its place: what happens after a client has received it is in
// the stream. Later bookmarks have no form in the contract and need none: without
// changes the place of a watch stays where it is. A trailer names the place where a
// watch ended that may be resumed.
func (s *Server) WatchTasks(req *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	changes, err := s.watcher.Watch(stream.Context(), req.GetResumeToken())
	if err != nil {
		return err
	}
	sender := grpcserver.NewPacedStream(stream, writeStallTimeout)
	begun, place := false, ""
	for a, err := range changes {
		if err != nil {
			if begun && apperr.Of(err).Kind != apperr.Gone {
				stream.SetTrailer(metadata.Pairs(resumeTokenKey, place))
			}
			return err
		}
		switch {
		case !a.Bookmark():
			err = s.sendEvent(sender, a)
		case !begun:
			err = stream.SendHeader(metadata.Pairs(resumeTokenKey, resumeToken(a)))
		}
		begun, place = true, resumeToken(a)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) sendEvent(sender *grpcserver.PacedStream, a task.Announcement) error {
	event, err := s.events.Encode(a)
	if err != nil {
		return err
	}
	return sender.Send(event)
}

func encodeEvent(a task.Announcement) (grpcserver.Encoded, error) {
	event := eventMessage(a.Event)
	event.ResumeToken = resumeToken(a)
	return grpcserver.Encode(event)
}

func resumeToken(a task.Announcement) string { return strconv.FormatInt(a.Seq, 10) }
