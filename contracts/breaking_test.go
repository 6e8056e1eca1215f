package contracts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyGrowthPassesTheBreakingCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		old, new string // edit of task.proto
		found    string // in the output of buf; "" when the check passes
	}{
		"untouched": {},
		"a field is added": {
			old: "int64 version = 7;",
			new: "int64 version = 7;\n  // Added.\n  string note = 8;",
		},
		"a field gets another number": {
			old:   "int32 priority = 3;",
			new:   "int32 priority = 8;",
			found: `Previously present field "3" with name "priority" on message "Task" was deleted`,
		},
		"a field gets another type": {
			old:   "int32 priority = 3;",
			new:   "int64 priority = 3;",
			found: `Field "3" with name "priority" on message "Task" changed type`,
		},
		"a field gets another name": {
			old:   "bool done_only = 1;",
			new:   "bool only_done = 1;",
			found: `Field "1" on message "ListTasksRequest" changed name`,
		},
		"a method is removed": {
			old:   "rpc DeleteTask(DeleteTaskRequest) returns (DeleteTaskResponse);",
			found: `Previously present RPC "DeleteTask"`,
		},
		"a stream becomes one answer": {
			old:   "returns (stream TaskEvent)",
			new:   "returns (TaskEvent)",
			found: `"WatchTasks" on service "TaskService" changed from server streaming to server unary`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range []string{"buf.yaml", "proto/task.proto", "released/task.txtpb"} {
				copyFile(t, file, filepath.Join(dir, file))
			}
			edit(t, filepath.Join(dir, "proto/task.proto"), tt.old, tt.new)
			want := 0
			if tt.found != "" {
				want = exitFindings
			}
			out, code := runBuf(t, dir, "breaking", "--against", "released/task.txtpb")
			if code != want || !strings.Contains(out, tt.found) {
				t.Errorf("buf breaking exits with %d, want %d and %q; its output:\n%s", code, want, tt.found, out)
			}
		})
	}
}

// edit replaces the first occurrence of old in a file, which must have one.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	edited := strings.Replace(string(data), old, new, 1)
	if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
}
