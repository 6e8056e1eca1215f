package main

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// result is exit code and output of one run.
type result struct {
	Code           int
	Stdout, Stderr string
}

func runCommand(ctx context.Context, args ...string) result { return runWithInput(ctx, "", args...) }

func runWithInput(ctx context.Context, input string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(input), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// splitArgs splits a command line at its spaces; _ stands for a space in an argument.
func splitArgs(line string) []string {
	args := strings.Fields(line)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "_", " ")
	}
	return args
}

func wantResult(t *testing.T, want, got result) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

const (
	learnJSON = `{"id":1,"title":"Learn gRPC","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	onceJSON  = `{"id":3,"title":"Once","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	header    = "ID  TITLE       PRIORITY  DONE  CREATED               VERSION\n"
)

func TestClientWithoutACommandCreatesATaskAndListsAll(t *testing.T) {
	t.Parallel()
	s := serve(t)
	wantResult(t, result{Stdout: `Created task 1, "Learn gRPC".

` + header + `1   Learn gRPC  0         no    2026-01-15T10:00:00Z  1

1 of 1 tasks
`}, runCommand(t.Context(), "--addr", s.addr))
	wantResult(t, result{Stdout: `{"created":` + strings.Replace(learnJSON, `"id":1`, `"id":2`, 1) + `,"tasks":[` + learnJSON + `,` +
		strings.Replace(learnJSON, `"id":1`, `"id":2`, 1) + `],"total":2}` + "\n"}, runCommand(t.Context(), "--addr", s.addr, "--output", "json"))
}

func TestEachCommandPrintsItsResult(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, step := range []struct{ args, stdout string }{
		{"list", "ID  TITLE  PRIORITY  DONE  CREATED  VERSION\n\n0 of 0 tasks\n"},
		{"list --output json", `{"tasks":[],"total":0}` + "\n"},
		{"create Learn_gRPC", header + "1   Learn gRPC  0         no    2026-01-15T10:00:00Z  1\n"},
		{"create --priority 7 <b>&", "ID  TITLE  PRIORITY  DONE  CREATED               VERSION\n2   <b>&   7         no    2026-01-15T10:00:00Z  1\n"},
		{"create Once --idempotency-key k --output json", onceJSON + "\n"},
		{"create Once --idempotency-key k --output json", onceJSON + "\n"},
		{"delete 3", "Deleted task 3.\n"},
		{"get 1", header + "1   Learn gRPC  0         no    2026-01-15T10:00:00Z  1\n"},
		{"get 1 --output json", learnJSON + "\n"},
		{"done 1", header + "1   Learn gRPC  0         yes   2026-01-15T10:00:00Z  2\n"},
		{"done 1 --output=json", `{"id":1,"title":"Learn gRPC","priority":0,"done":true,"created_at":"2026-01-15T10:00:00Z","completed_at":"2026-01-15T10:00:00Z","version":2}` + "\n"},
		{"list --done", header + "1   Learn gRPC  0         yes   2026-01-15T10:00:00Z  2\n\n1 of 1 tasks\n"},
		{"list --limit 1 --offset 1 --output json", `{"tasks":[{"id":2,"title":"<b>&","priority":7,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}],"total":2}` + "\n"},
		{"list --sort -priority --limit 1", "ID  TITLE  PRIORITY  DONE  CREATED               VERSION\n2   <b>&   7         no    2026-01-15T10:00:00Z  1\n\n1 of 2 tasks\n"},
		{"list --sort=priority --done", header + "1   Learn gRPC  0         yes   2026-01-15T10:00:00Z  2\n\n1 of 1 tasks\n"},
		{"delete 1", "Deleted task 1.\n"},
		{"delete 2 --output json", `{"deleted":2}` + "\n"},
	} {
		t.Run(step.args, func(t *testing.T) {
			wantResult(t, result{Stdout: step.stdout}, runCommand(t.Context(), append(splitArgs(step.args), "--addr", s.addr)...))
		})
	}
}

func TestAnErrorOfTheServiceIsOneLineWithAHint(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, test := range []struct{ args, stderr string }{
		{"get 7", "grpc-client: cannot show task 7: there is no task 7; see which tasks there are with grpc-client list\n"},
		{"done 7", "grpc-client: cannot complete task 7: there is no task 7; see which tasks there are with grpc-client list\n"},
		{"delete 7", "grpc-client: cannot delete task 7: there is no task 7; see which tasks there are with grpc-client list\n"},
		{"history 7", "grpc-client: cannot show the history of task 7: there is no task 7; see which tasks there are with grpc-client list\n"},
		{"get 0", "grpc-client: cannot show task 0: id must be positive; correct it and try again\n"},
		{"create _", "grpc-client: cannot create the task: title must not be empty; correct it and try again\n"},
		{"create A --priority 101", "grpc-client: cannot create the task: priority must be from 0 to 100; correct it and try again\n"},
		{"create A --idempotency-key " + strings.Repeat("k", 256), "grpc-client: cannot create the task: Idempotency-Key must be 1 to 255 visible ASCII characters, in double quotes or bare; correct it and try again\n"},
		{"list --limit 1001", "grpc-client: cannot list the tasks: limit must be from 1 to 1000; correct it and try again\n"},
		{"list --sort title", "grpc-client: cannot list the tasks: sort must be id, -id, priority or -priority; correct it and try again\n"},
		{"watch --from malformed", "grpc-client: cannot watch the tasks: the resume token \"malformed\" is not in the log; watch without --from, then grpc-client list\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			wantResult(t, result{Code: 1, Stderr: test.stderr}, runCommand(t.Context(), append(splitArgs(test.args), "--addr", s.addr)...))
		})
	}
}

func TestAnInvalidCommandLineExitsWithTwoAndAHint(t *testing.T) {
	t.Parallel()
	for args, stderr := range map[string]string{
		"lst":                          `there is no command "lst", did you mean list or get?`,
		"frobnicate":                   `there is no command "frobnicate"`,
		"list all":                     `got 1 arguments, want grpc-client list [flags] (quote what has spaces)`,
		"create":                       `got 0 arguments, want grpc-client create TITLE [flags] (quote what has spaces)`,
		"create Learn Go":              `got 2 arguments, want grpc-client create TITLE [flags] (quote what has spaces)`,
		"get":                          `got 0 arguments, want grpc-client get ID [flags] (quote what has spaces)`,
		"get one":                      `ID must be a whole number, not "one"`,
		"done 1.5":                     `ID must be a whole number, not "1.5"`,
		"delete 1e3":                   `ID must be a whole number, not "1e3"`,
		"--colour":                     `unknown flag: --colour`,
		"list --limit x":               `invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax`,
		"--output yaml":                `--output: must be table or json`,
		"create A --idempotency-key é": `--idempotency-key "é" must be visible ASCII characters`,
		"create A --priority":          `flag needs an argument: --priority`,
		"list --addr localhost":        `--addr: must be host:port, such as localhost:1234; it has no port`,
		"--addr http://localhost:1":    `--addr: must be host:port, such as localhost:1234; it is a URL`,
		"get 1 --addr 'localhost':1":   `--addr: must begin with the server's name or IP address`,
		"watch --addr localhost:65536": `--addr: must end with the server's port, a number from 1 to 65535`,
		"list --timeout 0s":            `--timeout: must be from 1ms to 24h`,
		"list --timeout -1s":           `--timeout: must be from 1ms to 24h`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			wantResult(t, result{Code: 2, Stderr: "grpc-client: " + stderr + "; see grpc-client --help\n"}, runCommand(t.Context(), strings.Fields(args)...))
		})
	}
}

func TestHelpNamesEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	got := runCommand(t.Context(), "--help")
	for _, name := range []string{"create", "list", "get", "done", "delete", "history", "watch", "login", "logout", "whoami", "TODO_TOKEN", "--tls", "--ca", "--cert", "--key", "--allow-plaintext", "--addr", "--output", "--timeout", "localhost:50051", "Learn gRPC"} {
		if !strings.Contains(got.Stdout, name) {
			t.Errorf("--help does not mention %s", name)
		}
	}
	if got.Code != 0 || got.Stderr != "" {
		t.Errorf("exit %d, stderr %q", got.Code, got.Stderr)
	}
}

func TestAnUnreachableServiceIsNamedByItsAddress(t *testing.T) {
	t.Parallel()
	addr := testenv.FreeAddr(t)
	got := runCommand(t.Context(), "list", "--addr", addr)
	for _, part := range []string{"grpc-client: cannot list the tasks: " + addr + " does not answer", "connection refused", "; start todo-service, or name its address with --addr\n"} {
		if !strings.Contains(got.Stderr, part) {
			t.Errorf("stderr %q lacks %q", got.Stderr, part)
		}
	}
	if got.Code != 1 || strings.Count(got.Stderr, "\n") != 1 {
		t.Errorf("exit %d, stderr %q", got.Code, got.Stderr)
	}
}

// silentAddr returns the address of a listener that accepts connections and never responds.
func silentAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestACallEndsAtItsTimeoutWhenTheServiceDoesNotRespond(t *testing.T) {
	t.Parallel()
	addr := silentAddr(t)
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot list the tasks: no answer from " + addr + " within 50ms; try again, or wait longer with --timeout\n"},
		runCommand(t.Context(), "list", "--addr", addr, "--timeout", "50ms"))
}

func TestACreationThatTimesOutPrintsItsIdempotencyKey(t *testing.T) {
	t.Parallel()
	addr := silentAddr(t)
	const why, try = "grpc-client: cannot create the task: no answer from ", " within 50ms; try again, or wait longer with --timeout; with --idempotency-key "
	wantResult(t, result{Code: 1, Stderr: why + addr + try + "k it is created once\n"},
		runCommand(t.Context(), "create", "A", "--idempotency-key", "k", "--addr", addr, "--timeout", "50ms"))
	got := runCommand(t.Context(), "create", "A", "--addr", addr, "--timeout", "50ms").Stderr
	key, ok := strings.CutPrefix(got, why+addr+try)
	key, also := strings.CutSuffix(key, " it is created once\n")
	if err := uuid.Validate(key); !ok || !also || err != nil {
		t.Errorf("stderr %q", got)
	}
}

func TestARateLimitedCallPrintsWhenToRetry(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.limiter.decision = ratelimit.Decision{Limit: 60, Window: time.Minute, RetryAfter: 12 * time.Second}
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot list the tasks: too many requests; try again in 12s\n"}, runCommand(t.Context(), "list", "--addr", s.addr))
}

func TestWatchPrintsEventsUntilInterrupted(t *testing.T) {
	t.Parallel()
	for args, lines := range map[string][]string{
		"":                       {"1         task.created    task 1       Learn gRPC\n", "2         task.deleted    task 1       Learn gRPC\n"},
		"--from 1":               {"2         task.deleted    task 1       Learn gRPC\n"},
		"--from 1 --output json": {`{"event_id":"e2","event_type":"task.deleted","timestamp":"2026-01-15T10:00:00Z","task":` + strings.Replace(learnJSON, `"version":1`, `"version":2`, 1) + `,"resume_token":"2"}` + "\n"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.watcher.announcements = announcements()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out := &countingWriter{left: len(lines), full: interrupt}
			var stderr bytes.Buffer
			code := run(ctx, append([]string{"watch", "--addr", s.addr}, strings.Fields(args)...), strings.NewReader(""), out, &stderr)
			wantResult(t, result{Stdout: strings.Join(lines, "")}, result{code, out.String(), stderr.String()})
		})
	}
}

func TestAWatchThatEndsPrintsHowToContinue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		announcements []task.Announcement
		err           error
		prefix, hint  string
	}{
		"after events":   {announcements(), apperr.New(apperr.Unavailable, "the service stops"), "cannot continue the watch: the service stops; ", ", then resume with --from 2\n"},
		"without events": {nil, apperr.New(apperr.Unavailable, "the service stops"), "cannot continue the watch: the service stops; ", ", then resume with --from 0\n"},
		"beyond the log": {announcements(), apperr.New(apperr.Gone, "the events are gone"), "cannot watch the tasks: ", "the events are gone; watch without --from, then grpc-client list\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.watcher.announcements, s.watcher.err = test.announcements, test.err
			got := runCommand(t.Context(), "watch", "--addr", s.addr)
			if got.Code != 1 || !strings.HasPrefix(got.Stderr, "grpc-client: "+test.prefix) || !strings.HasSuffix(got.Stderr, test.hint) {
				t.Errorf("exit %d, stderr %q", got.Code, got.Stderr)
			}
		})
	}
}

func TestHistoryPrintsAllPagesAlsoOfADeletedTask(t *testing.T) {
	t.Parallel()
	s := serve(t)
	runCommand(t.Context(), "create", "Learn gRPC", "--addr", s.addr)
	runCommand(t.Context(), "done", "1", "--addr", s.addr)
	runCommand(t.Context(), "delete", "1", "--addr", s.addr)
	wantResult(t, result{Stdout: `VERSION  EVENT           TIME                  TITLE       PRIORITY
1        task.created    2026-01-15T10:00:00Z  Learn gRPC  0
2        task.completed  2026-01-15T10:00:00Z  Learn gRPC  0
3        task.deleted    2026-01-15T10:00:00Z  Learn gRPC  0
`}, runCommand(t.Context(), "history", "1", "--addr", s.addr))

	got := runCommand(t.Context(), "history", "1", "--addr", s.addr, "--output", "json")
	got.Stdout = regexp.MustCompile(`"event_id":"[0-9a-f-]{36}"`).ReplaceAllString(got.Stdout, `"event_id":"…"`)
	first := `{"events":[{"event_id":"…","event_type":"task.created","timestamp":"2026-01-15T10:00:00Z","task":` + learnJSON + `},`
	if !strings.HasPrefix(got.Stdout, first) {
		t.Errorf("exit %d, stdout %s", got.Code, got.Stdout)
	}

	runCommand(t.Context(), "create", "Learn more", "--addr", s.addr)
	for i := range 1001 {
		priority := i%100 + 1
		if _, err := s.tasks.Change(t.Context(), task.NoOwner, 2, task.Change{Priority: &priority}, nil); err != nil {
			t.Fatal(err)
		}
	}
	got = runCommand(t.Context(), "history", "2", "--addr", s.addr)
	if lines := strings.Count(got.Stdout, "\n"); lines != 1003 {
		t.Errorf("%d lines, want the heading, the creation and 1001 changes", lines)
	}
}

func announcements() []task.Announcement {
	t := task.Task{ID: 1, Title: "Learn gRPC", CreatedAt: start, Version: 1}
	deleted := t
	deleted.Version = 2
	return []task.Announcement{
		{Seq: 1, Event: task.Event{ID: "e1", Type: task.Created, Task: t, At: start}},
		{Seq: 2, Event: task.Event{ID: "e2", Type: task.Deleted, Task: deleted, At: start}},
	}
}

// countingWriter calls full after left writes.
type countingWriter struct {
	bytes.Buffer
	left int
	full func()
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.left--; w.left == 0 {
		w.full()
	}
	return n, err
}
