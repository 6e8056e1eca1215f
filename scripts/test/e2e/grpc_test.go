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
	user    user
}

// newSpecClient returns a client of the test's user.
func newSpecClient(t *testing.T) specClient {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"../../../contracts/testdata/spec"}})}
	files, err := compiler.Compile(t.Context(), "task.proto")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(system.address("TODO_GRPC_ADDR"), grpc.WithTransportCredentials(system.grpcCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return specClient{conn, files[0].Services().ByName("TaskService"), system.user(t)}
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

func (s specClient) callOnce(t *testing.T, method, text string) (*dynamicpb.Message, error) {
	t.Helper()
	path, in, out := s.request(t, method, text)
	return out, s.conn.Invoke(s.outgoing(t.Context()), path, in, out)
}

// call sends a call, and again while its session could not be checked.
func (s specClient) call(t *testing.T, method, text string) (out *dynamicpb.Message, err error) {
	t.Helper()
	repeatWhile(t, func() bool {
		out, err = s.callOnce(t, method, text)
		return isUncheckedCall(err)
	})
	return out, err
}

func isUncheckedCall(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), uncheckedSession)
}

func (s specClient) mustCall(t *testing.T, method, text string) *dynamicpb.Message {
	t.Helper()
	out, err := s.call(t, method, text)
	if err != nil {
		t.Fatalf("%s(%s): %v", method, text, err)
	}
	return out
}

// outgoing returns a context with the metadata of a call: the user's, and an address that the rate limiter has not seen.
func (s specClient) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, append(s.user.header(), "x-forwarded-for", unseenAddr())...)
}

// watch returns a stream of the user's changes that has started.
func (s specClient) watch(ctx context.Context, t *testing.T) grpc.ClientStream {
	t.Helper()
	var stream grpc.ClientStream
	var err error
	repeatWhile(t, func() bool {
		stream, err = s.startWatch(ctx, t)
		return isUncheckedCall(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func (s specClient) startWatch(ctx context.Context, t *testing.T) (grpc.ClientStream, error) {
	path, in, _ := s.request(t, "WatchTasks", "")
	stream, err := s.conn.NewStream(s.outgoing(ctx), &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil {
		return nil, err
	}
	header, err := stream.Header()
	if err == nil && len(header.Get("resume-token")) == 0 { // the stream did not start
		_, err = s.receive(stream)
	}
	return stream, err
}

// receive returns the next event of a stream.
func (s specClient) receive(stream grpc.ClientStream) (*dynamicpb.Message, error) {
	event := dynamicpb.NewMessage(s.service.Methods().ByName("WatchTasks").Output())
	return event, stream.RecvMsg(event)
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
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream := client.watch(ctx, t)

	task := create(t, "Watched")
	complete(t, task.ID)
	decode[taskJSON](t, call(t, "PATCH", fmt.Sprintf("/tasks/%d", task.ID), `{"done":false}`), 200)
	decode[taskJSON](t, call(t, "PATCH", fmt.Sprintf("/tasks/%d", task.ID), `{"title":"Watched still"}`), 200)
	if a := call(t, "DELETE", fmt.Sprintf("/tasks/%d", task.ID), ""); a.status != 204 {
		t.Fatalf("delete: %d", a.status)
	}

	var kinds []string
	for len(kinds) < 5 {
		event, err := client.receive(stream)
		if err != nil {
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
