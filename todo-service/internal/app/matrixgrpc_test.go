package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"example.com/todo/platform/session/sessiontest"
)

// rpcAccess has every method of the server.
var rpcAccess = map[protoreflect.FullName]sessiontest.Access{
	"task.TaskService.GetTask":                                      sessiontest.Owned,
	"task.TaskService.ListTasks":                                    sessiontest.Personal,
	"task.TaskService.CreateTask":                                   sessiontest.Personal,
	"task.TaskService.CompleteTask":                                 sessiontest.Owned,
	"task.TaskService.WatchTasks":                                   sessiontest.Personal,
	"task.TaskService.UpdateTask":                                   sessiontest.Owned,
	"task.TaskService.DeleteTask":                                   sessiontest.Owned,
	"task.TaskService.ListTaskEvents":                               sessiontest.Owned,
	"task.TaskService.CountTasks":                                   sessiontest.Personal,
	"grpc.health.v1.Health.Check":                                   sessiontest.Open,
	"grpc.health.v1.Health.List":                                    sessiontest.Open,
	"grpc.health.v1.Health.Watch":                                   sessiontest.Open,
	"grpc.reflection.v1.ServerReflection.ServerReflectionInfo":      sessiontest.Personal,
	"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": sessiontest.Personal,
}

// codeOf has the codes of the statuses of a client that sends its token in the metadata.
var codeOf = map[int]codes.Code{200: codes.OK, 401: codes.Unauthenticated, 404: codes.NotFound}

func TestEveryRPCGivesEveryClientWhatItMayHave(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	conn := dial(t, m.cfg.GRPC.Addr)
	methods := m.listMethods(conn)
	for name := range rpcAccess {
		if methods[name] == nil {
			t.Errorf("the server has no method %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		access, found := rpcAccess[name]
		if !found {
			t.Errorf("%s: say in rpcAccess which clients it serves", name)
			continue
		}
		for _, client := range sessiontest.Clients() {
			if client.UsesHeader() {
				want := codeOf[client.WantStatus(access, "POST")]
				m.check(fmt.Sprint(name, " by ", client.Name), func() error {
					return m.call(conn, methods[name], client, "authorization", "Bearer ", want)
				})
			}
		}
		want := codes.Unauthenticated
		if access == sessiontest.Open {
			want = codes.OK
		}
		m.check(fmt.Sprint(name, " by a cookie"), func() error {
			return m.call(conn, methods[name], sessiontest.Client{Credential: sessiontest.OfOwner}, "cookie", "session=", want)
		})
	}
	t.Logf("%d cells, %d unexpected", m.cells, m.unexpected)
}

// listMethods returns the methods of all services of the server, which it lists itself.
func (m *matrix) listMethods(conn *grpc.ClientConn) map[protoreflect.FullName]protoreflect.MethodDescriptor {
	m.Helper()
	ctx := metadata.AppendToOutgoingContext(m.Context(), "authorization", "Bearer "+m.credential(sessiontest.OfOwner))
	var listed *grpc_reflection_v1.ServerReflectionResponse
	m.check("the services of the server", func() error {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err == nil {
			_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
			listed, err = stream.Recv()
		}
		if status.Code(err) == codes.Unavailable {
			return errBusy
		}
		return err
	})
	methods := map[protoreflect.FullName]protoreflect.MethodDescriptor{}
	for _, service := range listed.GetListServicesResponse().GetService() {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		if err != nil {
			m.Fatal(err)
		}
		all := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range all.Len() {
			methods[all.Get(i).FullName()] = all.Get(i)
		}
	}
	return methods
}

// call sends the call of a cell, with the token in the metadata key after prefix.
func (m *matrix) call(conn *grpc.ClientConn, method protoreflect.MethodDescriptor, client sessiontest.Client, key, prefix string, want codes.Code) error {
	m.Helper()
	id, token := m.newTask(), m.credential(client.Credential)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(m.Context(), "x-forwarded-for", m.nextAddress()))
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, key, prefix+token)
	}
	desc := &grpc.StreamDesc{ServerStreams: method.IsStreamingServer(), ClientStreams: method.IsStreamingClient()}
	stream, err := conn.NewStream(ctx, desc, "/"+string(method.Parent().FullName())+"/"+string(method.Name()))
	if err != nil {
		return err
	}
	_ = stream.SendMsg(newRequest(method.Input(), id)) // RecvMsg has its error
	_ = stream.CloseSend()
	header, err := stream.Header()
	response := dynamicpb.NewMessage(method.Output())
	if opened := header.Get("resume-token"); err == nil && len(opened) == 0 { // a watch of no changes sends no message
		err = stream.RecvMsg(response)
	}
	got := status.Convert(err)
	all := fmt.Sprint(header, stream.Trailer(), got, response)
	switch {
	case got.Code() == codes.Unavailable:
		return errBusy
	case got.Code() != want:
		return fmt.Errorf("got %v, want %v", got, want)
	case token != "" && strings.Contains(all, token), strings.Contains(all, mark) && client.Credential != sessiontest.OfOwner:
		return fmt.Errorf("got %s", all)
	case strings.Contains(all, "set-cookie"):
		return fmt.Errorf("the metadata has a cookie: %s", all)
	case want != codes.OK:
		return m.wantUntouched(id)
	}
	return nil
}

// newRequest returns a valid request, about the task if it can name one.
func newRequest(of protoreflect.MessageDescriptor, id int64) *dynamicpb.Message {
	request := dynamicpb.NewMessage(of)
	for name, value := range map[protoreflect.Name]protoreflect.Value{
		"id": protoreflect.ValueOfInt64(id), "title": protoreflect.ValueOfString("A"), "list_services": protoreflect.ValueOfString("*"),
	} {
		if field := of.Fields().ByName(name); field != nil {
			request.Set(field, value)
		}
	}
	return request
}
