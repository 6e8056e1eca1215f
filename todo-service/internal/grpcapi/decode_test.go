package grpcapi_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	pb "example.com/todo/contracts/gen/task"
)

// rawCodec sends any bytes as a message.
type rawCodec struct{}

func (rawCodec) Name() string                    { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (rawCodec) Unmarshal(_ []byte, _ any) error { return nil }

// stringField returns a message with one string field, which need not be UTF-8.
func stringField(field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), value)
}

func TestAMalformedMessageIsInvalidArgument(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	for name, test := range map[string]struct {
		method  string
		message []byte
	}{
		"a title that is not UTF-8": {pb.TaskService_CreateTask_FullMethodName, stringField(1, "A\xff")},
		"half a character":          {pb.TaskService_CreateTask_FullMethodName, stringField(1, "\xe2\x82")},
		"a surrogate":               {pb.TaskService_CreateTask_FullMethodName, stringField(1, "\xed\xa0\x80")},
		"a changed title not UTF-8": {pb.TaskService_UpdateTask_FullMethodName, stringField(2, "A\xff")},
		"a field cut off":           {pb.TaskService_CreateTask_FullMethodName, stringField(1, "ABC")[:3]},
		"not a message":             {pb.TaskService_GetTask_FullMethodName, []byte("\xff\xff\xff\xff")},
		"a varint of 11 bytes":      {pb.TaskService_GetTask_FullMethodName, append([]byte{8}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...)},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.limiter.calls()
			var response []byte
			err := s.conn.Invoke(t.Context(), test.method, test.message, &response, grpc.ForceCodec(rawCodec{}))
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v", err)
			}
			if counted := s.limiter.calls() - before; counted != 1 {
				t.Errorf("counted %d times", counted)
			}
		})
	}
	if n, err := s.store.Count(t.Context(), owner); n.Total != 0 || err != nil {
		t.Errorf("%d tasks, error %v", n.Total, err)
	}
}

func TestAMalformedWatchRequestIsInvalidArgument(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	stream, err := s.conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, pb.TaskService_WatchTasks_FullMethodName, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(stringField(1, "\xff")); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var response []byte
	if err := stream.RecvMsg(&response); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
}

// A later client may send fields that this version does not know.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	var response []byte
	message := append(stringField(1, "A"), stringField(99, "later")...)
	if err := s.conn.Invoke(t.Context(), pb.TaskService_CreateTask_FullMethodName, message, &response, grpc.ForceCodec(rawCodec{})); err != nil {
		t.Error(err)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(stringField(1, "A"))
	f.Add(stringField(1, "\xff"))
	f.Add([]byte{8, 1})
	s := newFixture(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, described := range pb.TaskService_ServiceDesc.Methods {
			var response []byte
			method := "/" + pb.TaskService_ServiceDesc.ServiceName + "/" + described.MethodName
			err := s.conn.Invoke(t.Context(), method, message, &response, grpc.ForceCodec(rawCodec{}))
			switch status.Code(err) {
			case codes.OK, codes.InvalidArgument, codes.NotFound, codes.Aborted:
			default:
				t.Errorf("%s: %v", method, err)
			}
		}
	})
}
