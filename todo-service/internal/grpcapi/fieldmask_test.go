package grpcapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "example.com/todo/contracts/gen/task"
)

func TestUpdateTaskChangesTheFieldsOfItsMask(t *testing.T) {
	t.Parallel()
	type fields struct {
		title    string
		priority int32
		done     bool
	}
	mask := func(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
	for name, test := range map[string]struct {
		request *pb.UpdateTaskRequest
		want    fields // from {"A", 5, true}
	}{
		"no mask: present fields":     {&pb.UpdateTaskRequest{Title: new("B"), Done: new(false)}, fields{"B", 5, false}},
		"an empty mask: the same":     {&pb.UpdateTaskRequest{Priority: new(int32(0)), UpdateMask: mask()}, fields{"A", 0, true}},
		"the fields of the mask":      {&pb.UpdateTaskRequest{Title: new("B"), Priority: new(int32(7)), Done: new(false), UpdateMask: mask("title", "done")}, fields{"B", 5, false}},
		"no field outside the mask":   {&pb.UpdateTaskRequest{Title: new(""), Priority: new(int32(7)), UpdateMask: mask("priority")}, fields{"A", 7, true}},
		"absent priority: 0":          {&pb.UpdateTaskRequest{UpdateMask: mask("priority")}, fields{"A", 0, true}},
		"absent done: not done":       {&pb.UpdateTaskRequest{UpdateMask: mask("done")}, fields{"A", 5, false}},
		"a field twice":               {&pb.UpdateTaskRequest{Title: new("B"), UpdateMask: mask("title", "title")}, fields{"B", 5, true}},
		"all fields, by a star":       {&pb.UpdateTaskRequest{Title: new("B"), UpdateMask: mask("*")}, fields{"B", 0, false}},
		"fields without a difference": {&pb.UpdateTaskRequest{Title: new(" A "), Done: new(true), UpdateMask: mask("title", "done")}, fields{"A", 5, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newCompletedTask(t)
			test.request.Id = 1
			response, err := client.UpdateTask(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			got := fields{response.GetTask().GetTitle(), response.GetTask().GetPriority(), response.GetTask().GetDone()}
			if got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestUpdateTaskRefusesAMaskWithOtherFields(t *testing.T) {
	t.Parallel()
	client := newCompletedTask(t)
	for field, masks := range map[string][][]string{
		"update_mask": {{"id"}, {"version"}, {"Title"}, {"task.title"}, {""}, {"title", "created_at"}, {"*", "title"}, {strings.Repeat("x", 100_000)}, slices.Repeat([]string{""}, 100_000)},
		"title":       {{"title"}, {"*"}},
	} {
		for _, paths := range masks {
			_, err := client.UpdateTask(t.Context(), &pb.UpdateTaskRequest{
				Id: 1, Priority: new(int32(7)), UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
			})
			if got := violations(err); status.Code(err) != codes.InvalidArgument || !cmp.Equal(got, []string{field}) {
				t.Errorf("%q: %v, names %q", paths, err, got)
			}
			if message := status.Convert(err).Message(); len(message) > 1000 {
				t.Errorf("the error for a mask of %d paths has %d bytes", len(paths), len(message))
			}
		}
	}
	now, err := client.GetTask(t.Context(), &pb.GetTaskRequest{Id: 1})
	if err != nil || now.GetTask().GetVersion() != 2 {
		t.Errorf("the task became %v, error %v", now, err)
	}
}

// newCompletedTask returns a client of a service with one task: A, priority 5, done, at
// version 2.
func newCompletedTask(t *testing.T) pb.TaskServiceClient {
	t.Helper()
	client := pb.NewTaskServiceClient(newFixture(t).conn)
	if _, err := client.CreateTask(t.Context(), &pb.CreateTaskRequest{Title: "A", Priority: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CompleteTask(t.Context(), &pb.CompleteTaskRequest{Id: 1}); err != nil {
		t.Fatal(err)
	}
	return client
}
