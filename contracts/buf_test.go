package contracts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// exitFindings is the exit code of buf lint and buf breaking with findings; a failure of
// buf itself has another one.
const exitFindings = 100

// findBuf returns the path of the pinned buf, which `make test` installs, or of the one in
// PATH.
func findBuf(t *testing.T) string {
	t.Helper()
	pinned, err := filepath.Abs("../.cache/bin/buf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pinned); err == nil {
		return pinned
	}
	if found, err := exec.LookPath("buf"); err == nil {
		return found
	}
	const absent = "buf is neither in ../.cache/bin nor in PATH; `make test` installs it"
	if os.Getenv("CI") == "true" {
		t.Fatal(absent)
	}
	t.Skip(absent)
	return ""
}

// runBuf runs buf in dir and returns its output and exit code.
func runBuf(t *testing.T, dir string, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), findBuf(t), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// compile builds a copy of dir's task.proto, so that no buf.yaml above it applies.
func compile(t *testing.T, dir string) protoreflect.FileDescriptor {
	t.Helper()
	work := t.TempDir()
	copyFile(t, filepath.Join(dir, "task.proto"), filepath.Join(work, "task.proto"))
	image := filepath.Join(work, "image.binpb")
	if out, code := runBuf(t, work, "build", "--exclude-source-info", "--output", image); code != 0 {
		t.Fatalf("buf build exits with %d:\n%s", code, out)
	}
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(data, set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	file, err := files.FindFileByPath("task.proto")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
