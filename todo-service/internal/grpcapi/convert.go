package grpcapi

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/todo-service/internal/task"
)

// eventMessage returns the protobuf message of an event, without a resume token.
func eventMessage(e task.Event) *pb.TaskEvent {
	return &pb.TaskEvent{
		EventType: string(e.Type),
		Task:      taskMessage(e.Task),
		EventId:   e.ID,
		Timestamp: timestamppb.New(e.At),
		UserId:    e.Owner.UserID(),
	}
}

func taskMessage(t task.Task) *pb.Task {
	m := &pb.Task{
		Id:        t.ID,
		Title:     t.Title,
		Priority:  int32(t.Priority),
		Done:      t.Done,
		CreatedAt: timestamppb.New(t.CreatedAt),
		Version:   t.Version,
	}
	if t.CompletedAt != nil {
		m.CompletedAt = timestamppb.New(*t.CompletedAt)
	}
	return m
}
