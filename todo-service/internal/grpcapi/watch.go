package grpcapi

import (
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/todo-service/internal/task"
)

// resumeTokenKey is the metadata key of a resume token, in header and trailer.
const resumeTokenKey = "resume-token"

// writeStallTimeout is how long a stream's client may read nothing before the server ends
// the stream with a token to resume from.
const writeStallTimeout = 10 * time.Second

// WatchTasks streams changes. The header has the resume token of the start: the stream
// has every change that is committed after the client has received the header. If the
// stream ends with an error after which a client can resume, the trailer has the token.
func (s *Server) WatchTasks(req *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	changes, err := s.cfg.Watch(stream.Context(), s.cfg.Owner(stream.Context()), req.GetResumeToken())
	if err != nil {
		return err
	}
	sender := grpcserver.NewPacedStream(stream, writeStallTimeout)
	started, position := false, ""
	for a, err := range changes {
		if err != nil {
			if started && apperr.Of(err).Kind != apperr.Gone {
				stream.SetTrailer(metadata.Pairs(resumeTokenKey, position))
			}
			return err
		}
		switch {
		case !a.Bookmark():
			var event grpcserver.Encoded
			if event, err = s.events.Encode(a); err == nil {
				err = sender.Send(event)
			}
		// Later bookmarks are not sent: without changes the client's token stays valid.
		case !started:
			err = stream.SendHeader(metadata.Pairs(resumeTokenKey, resumeToken(a)))
		}
		started, position = true, resumeToken(a)
		if err != nil {
			return err
		}
	}
	return nil
}

func encodeEvent(a task.Announcement) (grpcserver.Encoded, error) {
	event := eventMessage(a.Event)
	event.ResumeToken = resumeToken(a)
	return grpcserver.Encode(event)
}

func resumeToken(a task.Announcement) string { return strconv.FormatInt(a.Seq, 10) }
