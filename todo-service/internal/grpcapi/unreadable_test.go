package grpcapi_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	pb "example.com/todo/contracts/gen/task"
)

// raw sends bytes as they are, which no generated client would.
type raw struct{}

func (raw) Name() string                    { return "proto" }
func (raw) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (raw) Unmarshal(_ []byte, _ any) error { return nil }

// text is a message with one field of text, whatever its bytes.
func text(field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), value)
}

func TestAnUnreadableMessageIsTheClientsFault(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, test := range map[string]struct {
		method  string
		message []byte
	}{
		"a title that is not UTF-8":       {pb.TaskService_CreateTask_FullMethodName, text(1, "A\xff")},
		"half a character":                {pb.TaskService_CreateTask_FullMethodName, text(1, "\xe2\x82")},
		"a surrogate":                     {pb.TaskService_CreateTask_FullMethodName, text(1, "\xed\xa0\x80")},
		"a changed title not UTF-8":       {pb.TaskService_UpdateTask_FullMethodName, text(2, "A\xff")},
		"a field cut off":                 {pb.TaskService_CreateTask_FullMethodName, text(1, "ABC")[:3]},
		"no message at all":               {pb.TaskService_GetTask_FullMethodName, []byte("\xff\xff\xff\xff")},
		"a number longer than any number": {pb.TaskService_GetTask_FullMethodName, append([]byte{8}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"...)},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.limiter.asked()
			var answer []byte
			err := s.conn.Invoke(t.Context(), test.method, test.message, &answer, grpc.ForceCodec(raw{}))
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v", err)
			}
			if counted := s.limiter.asked() - before; counted != 1 {
				t.Errorf("counted %d times", counted)
			}
		})
	}
	if n, err := s.store.Count(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("%d tasks, error %v", n, err)
	}
}

func TestAnUnreadableWatchIsTheClientsFault(t *testing.T) {
	t.Parallel()
	s := newService(t)
	stream, err := s.conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, pb.TaskService_WatchTasks_FullMethodName, grpc.ForceCodec(raw{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(text(1, "\xff")); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	if err := stream.RecvMsg(&answer); status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v", err)
	}
}

// Fields that a later client knows and we do not are no error.
func TestUnknownFieldsArePassedOver(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var answer []byte
	message := append(text(1, "A"), text(99, "later")...)
	if err := s.conn.Invoke(t.Context(), pb.TaskService_CreateTask_FullMethodName, message, &answer, grpc.ForceCodec(raw{})); err != nil {
		t.Error(err)
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(text(1, "A"))
	f.Add(text(1, "\xff"))
	f.Add([]byte{8, 1})
	s := newService(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, described := range pb.TaskService_ServiceDesc.Methods {
			var answer []byte
			method := "/" + pb.TaskService_ServiceDesc.ServiceName + "/" + described.MethodName
			err := s.conn.Invoke(t.Context(), method, message, &answer, grpc.ForceCodec(raw{}))
			switch status.Code(err) {
			case codes.OK, codes.InvalidArgument, codes.NotFound, codes.Aborted:
			default:
				t.Errorf("%s: %v", method, err)
			}
		}
	})
}
