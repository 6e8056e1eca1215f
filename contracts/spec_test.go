package contracts_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"example.com/todo/contracts/gen/task"
)

func TestServedContractContainsTheSpecification(t *testing.T) {
	t.Parallel()
	want, served := surface(compile(t, "testdata/spec")), surface(task.File_task_proto)
	got := make(map[protoreflect.FullName]string, len(want))
	for name := range want {
		if form, ok := served[name]; ok {
			got[name] = form
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the served contract differs from the specification (-specified +served):\n%s", diff)
	}
}

func TestAdditionalFieldsHaveHigherNumbersThanTheSpecification(t *testing.T) {
	t.Parallel()
	specified := compile(t, "testdata/spec").Messages()
	for i := range specified.Len() {
		message := specified.Get(i)
		last := protoreflect.FieldNumber(message.Fields().Len()) // the specification numbers fields without gaps
		served := task.File_task_proto.Messages().ByName(message.Name())
		if served == nil {
			t.Errorf("%s is not served", message.FullName())
			continue
		}
		for j := range served.Fields().Len() {
			field := served.Fields().Get(j)
			if message.Fields().ByName(field.Name()) == nil && field.Number() <= last {
				t.Errorf("%s has number %d, which the specification gives to another field", field.FullName(), field.Number())
			}
		}
	}
}

func TestGeneratedCodeMatchesTheProtoFile(t *testing.T) {
	t.Parallel()
	want := protodesc.ToFileDescriptorProto(compile(t, "proto"))
	got := protodesc.ToFileDescriptorProto(task.File_task_proto)
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("gen/ is not generated from proto/: run `make generate` (-proto +gen):\n%s", diff)
	}
}

// surface returns every message, field and method by its full name, with its form on the
// wire.
func surface(file protoreflect.FileDescriptor) map[protoreflect.FullName]string {
	forms := make(map[protoreflect.FullName]string)
	for i := range file.Messages().Len() {
		message := file.Messages().Get(i)
		forms[message.FullName()] = "message"
		for j := range message.Fields().Len() {
			field := message.Fields().Get(j)
			forms[field.FullName()] = fieldForm(field)
		}
	}
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		forms[service.FullName()] = "service"
		for j := range service.Methods().Len() {
			method := service.Methods().Get(j)
			forms[method.FullName()] = fmt.Sprintf("%s (stream %t) returns %s (stream %t)",
				method.Input().FullName(), method.IsStreamingClient(), method.Output().FullName(), method.IsStreamingServer())
		}
	}
	return forms
}

func fieldForm(field protoreflect.FieldDescriptor) string {
	kind := field.Kind().String()
	if field.Message() != nil {
		kind = string(field.Message().FullName())
	}
	return fmt.Sprintf("%d %s %s, presence %t, json %s",
		field.Number(), field.Cardinality(), kind, field.HasPresence(), field.JSONName())
}
