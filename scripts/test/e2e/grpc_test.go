package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// specClient is a client generated from the specification, without the code of this repository.
type specClient struct {
	conn    *grpc.ClientConn
	service protoreflect.ServiceDescriptor
}

func newSpecClient(t *testing.T) specClient {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"../../../contracts/testdata/spec"}})}
	files, err := compiler.Compile(t.Context(), "task.proto")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(system.address("TODO_GRPC_ADDR"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return specClient{conn, files[0].Services().ByName("TaskService")}
}

// request parses a message of the method from the protobuf text format.
func (s specClient) request(t *testing.T, method, text string) (path string, in, out *dynamicpb.Message) {
	t.Helper()
	m := s.service.Methods().ByName(protoreflect.Name(method))
	in, out = dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if err := (prototext.UnmarshalOptions{}).Unmarshal([]byte(text), in); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/%s/%s", s.service.FullName(), method), in, out
}

func (s specClient) call(t *testing.T, method, text string) (*dynamicpb.Message, error) {
	t.Helper()
	path, in, out := s.request(t, method, text)
	return out, s.conn.Invoke(unseenPeer(t.Context()), path, in, out)
}

func (s specClient) mustCall(t *testing.T, method, text string) *dynamicpb.Message {
	t.Helper()
	out, err := s.call(t, method, text)
	if err != nil {
		t.Fatalf("%s(%s): %v", method, text, err)
	}
	return out
}

func unseenPeer(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-forwarded-for", unseenAddr())
}

// get returns a nested field by its path.
func get(m protoreflect.Message, path ...protoreflect.Name) protoreflect.Value {
	field := m.Descriptor().Fields().ByName(path[0])
	if len(path) > 1 {
		return get(m.Get(field).Message(), path[1:]...)
	}
	return m.Get(field)
}

func TestClientGeneratedFromTheSpecificationIsServed(t *testing.T) {
	client := newSpecClient(t)

	created := client.mustCall(t, "CreateTask", `title: "From a specClient" priority: 7`)
	id := get(created, "task", "id").Int()
	if id < 1 || get(created, "task", "title").String() != "From a specClient" || get(created, "task", "priority").Int() != 7 ||
		get(created, "task", "done").Bool() || get(created, "task", "created_at", "seconds").Int() == 0 {
		t.Errorf("created %v", created)
	}
	got := client.mustCall(t, "GetTask", fmt.Sprintf("id: %d", id))
	if !proto.Equal(get(got, "task").Message().Interface(), get(created, "task").Message().Interface()) {
		t.Errorf("got %v, created %v", got, created)
	}
	completed := client.mustCall(t, "CompleteTask", fmt.Sprintf("id: %d", id))
	if !get(completed, "task", "done").Bool() {
		t.Errorf("completed %v", completed)
	}
	list := client.mustCall(t, "ListTasks", "done_only: true limit: 1")
	if get(list, "tasks").List().Len() != 1 || get(list, "total").Int() < 1 {
		t.Errorf("listed %v", list)
	}
}

func TestWatcherReceivesEveryChangeInOrder(t *testing.T) {
	client := newSpecClient(t)
	path, in, _ := client.request(t, "WatchTasks", "")
	ctx, cancel := context.WithTimeout(unseenPeer(t.Context()), 30*time.Second)
	defer cancel()
	stream, err := client.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil { // the watch has started
		t.Fatal(err)
	}

	task := create(t, "Watched")
	complete(t, task.ID)
	decode[taskJSON](t, call(t, "PATCH", fmt.Sprintf("/tasks/%d", task.ID), `{"done":false}`), 200)
	decode[taskJSON](t, call(t, "PATCH", fmt.Sprintf("/tasks/%d", task.ID), `{"title":"Watched still"}`), 200)
	if a := call(t, "DELETE", fmt.Sprintf("/tasks/%d", task.ID), ""); a.status != 204 {
		t.Fatalf("delete: %d", a.status)
	}

	var kinds []string
	for len(kinds) < 5 {
		event := dynamicpb.NewMessage(client.service.Methods().ByName("WatchTasks").Output())
		if err := stream.RecvMsg(event); err != nil {
			t.Fatalf("after %v: %v", kinds, err)
		}
		if get(event, "task", "id").Int() == task.ID {
			kinds = append(kinds, get(event, "event_type").String())
		}
	}
	if got, want := strings.Join(kinds, " "), "task.created task.completed task.reopened task.updated task.deleted"; got != want {
		t.Errorf("watched %s, want %s", got, want)
	}
	notified(t, "Watched", "Watched") // the completion is on Kafka before the next test counts
}

func TestInvalidCallsAreRejectedAndChangeNothing(t *testing.T) {
	client := newSpecClient(t)
	before := get(client.mustCall(t, "ListTasks", "limit: 1"), "total").Int()
	for _, tc := range []struct {
		method, text string
		want         codes.Code
	}{
		{"GetTask", "id: 0", codes.InvalidArgument},
		{"GetTask", "id: -1", codes.InvalidArgument},
		{"GetTask", "id: 9223372036854775807", codes.NotFound},
		{"CompleteTask", "", codes.InvalidArgument},
		{"CreateTask", `title: ""`, codes.InvalidArgument},
		{"CreateTask", `title: "   "`, codes.InvalidArgument},
		{"CreateTask", `title: "nul \000"`, codes.InvalidArgument},
		{"CreateTask", fmt.Sprintf("title: %q", strings.Repeat("é", 501)), codes.InvalidArgument},
		{"CreateTask", `title: "x" priority: 101`, codes.InvalidArgument},
		{"CreateTask", `title: "x" priority: -1`, codes.InvalidArgument},
		{"ListTasks", "limit: -1", codes.InvalidArgument},
		{"ListTasks", "limit: 1001", codes.InvalidArgument},
		{"ListTasks", "offset: -1", codes.InvalidArgument},
		{"ListTasks", "offset: 100001", codes.InvalidArgument},
	} {
		_, err := client.call(t, tc.method, tc.text)
		if got := status.Code(err); got != tc.want {
			t.Errorf("%s(%.40s): %v, want %v", tc.method, tc.text, err, tc.want)
		}
		if tc.want == codes.InvalidArgument && len(status.Convert(err).Details()) == 0 {
			t.Errorf("%s(%.40s): no details", tc.method, tc.text)
		}
	}
	eventually(t, 5*time.Second, func() error { // the total may lag by a second
		if after := get(client.mustCall(t, "ListTasks", "limit: 1"), "total").Int(); after != before {
			return fmt.Errorf("%d tasks, before %d", after, before)
		}
		return nil
	})
}
