package app

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// attackRPC calls a method about the victim's task, lists from a position of the victim, or
// creates a task with a key that the victim has used.
func (s *twoUsers) attackRPC(t *testing.T, random *rand.Rand, target task.Task) {
	t.Helper()
	const none = 1 << 40
	version, after := 1+random.Int64N(target.Version+1), random.Int64N(target.Version+2)
	key := s.keys[random.IntN(10)] // few, so that the stranger's list stays short
	switch kind := random.IntN(7); kind {
	case 0:
		list, err := s.rpc.ListTasks(t.Context(), &pb.ListTasksRequest{
			Sort: string(task.ByPriority), DoneOnly: random.IntN(2) == 0, Limit: 1 + random.Int32N(100), Offset: random.Int32N(70),
		})
		s.wantNothingCalled(t, "ListTasks", list, err)
		if err != nil || slices.ContainsFunc(list.GetTasks(), func(l *pb.Task) bool { return s.ids[l.GetId()] }) {
			t.Errorf("ListTasks: %v, %v", list, err)
		}
	case 1:
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("idempotency-key", key))
		created, err := s.rpc.CreateTask(ctx, &pb.CreateTaskRequest{Title: "Mine with " + key, Priority: 1})
		s.wantNothingCalled(t, "CreateTask", created, err)
		if err != nil || s.ids[created.GetTask().GetId()] {
			t.Errorf("CreateTask with the key %s: %v, %v", key, created, err)
		}
	default:
		call := func(id int64) (fmt.Stringer, error) {
			switch kind {
			case 2:
				return s.rpc.GetTask(t.Context(), &pb.GetTaskRequest{Id: id})
			case 3:
				return s.rpc.UpdateTask(t.Context(), &pb.UpdateTaskRequest{Id: id, Title: new("X"), ExpectedVersion: &version})
			case 4:
				return s.rpc.CompleteTask(t.Context(), &pb.CompleteTaskRequest{Id: id, ExpectedVersion: &version})
			case 5:
				return s.rpc.DeleteTask(t.Context(), &pb.DeleteTaskRequest{Id: id, ExpectedVersion: &version})
			}
			return s.rpc.ListTaskEvents(t.Context(), &pb.ListTaskEventsRequest{Id: id, After: after})
		}
		_, want := call(none)
		response, got := call(target.ID)
		s.wantNothingCalled(t, fmt.Sprint("method ", kind), response, got)
		theirs, nothing := fmt.Sprint("task ", target.ID), fmt.Sprint("task ", int64(none))
		if got == nil || want == nil || apperr.Of(got).Kind != apperr.NotFound || strings.ReplaceAll(got.Error(), theirs, nothing) != want.Error() {
			t.Errorf("method %d: got %v about another's task, and %v about none", kind, got, want)
		}
	}
}

// wantNothingCalled wants no secret of the victim in what a method returns.
func (s *twoUsers) wantNothingCalled(t *testing.T, method string, response fmt.Stringer, err error) {
	t.Helper()
	all := fmt.Sprint(response, err)
	for _, secret := range s.secrets {
		if strings.Contains(all, secret) {
			t.Errorf("%s shows %q:\n%s", method, secret, all)
		}
	}
}
