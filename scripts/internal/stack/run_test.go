package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

// run is a stack of stand-in services that runs in the background.
type run struct {
	Settings
	said  *output
	stop  context.CancelFunc
	ended chan error
}

// start runs a stack in dir until the test ends or calls stop, and waits until it is ready.
func start(t *testing.T, dir string) *run {
	t.Helper()
	return startWith(t, Settings{Dir: dir})
}

func startWith(t *testing.T, settings Settings) *run {
	t.Helper()
	dir := settings.Dir
	root, err := filepath.Abs("testdata/workspace")
	if err != nil {
		t.Fatal(err)
	}
	ports, release, err := ResolvePorts(t.Context(), "free", os.Getenv, toolchain.KafkaEmbedded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	ctx, cancel := context.WithCancel(context.Background())
	settings.Root, settings.Kafka, settings.Ports = root, toolchain.KafkaEmbedded, ports
	settings.Environ = append(os.Environ(), "RATE_LIMIT_REQUESTS=10")
	r := &run{Settings: settings, said: &output{}, stop: cancel, ended: make(chan error, 1)}
	tools := testTools(t, r.said)
	go func() {
		r.ended <- Run(ctx, tools, r.Settings)
		close(r.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
		Reset(dir)
	})
	testenv.EventuallyWithin(t, time.Minute, "the stack is ready", func() bool {
		_, err := os.Stat(envPath(dir))
		select {
		case err := <-r.ended:
			t.Fatalf("the stack ended: %v\n%s", err, r.said)
		default:
		}
		return err == nil
	})
	return r
}

// wait returns the result of Run.
func (r *run) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatalf("it still runs after 10 s:\n%s", r.said)
		return nil
	}
}

var statusPID = regexp.MustCompile(`(?m)^(\S+) +running, pid (\d+)$`)

// pids returns the process ids of the running parts.
func (r *run) pids(t *testing.T) map[string]int {
	t.Helper()
	status, err := Status(t.Context(), r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for _, match := range statusPID.FindAllStringSubmatch(status, -1) {
		pids[match[1]], _ = strconv.Atoi(match[2])
	}
	return pids
}

// redis sends one command and returns the first line of the answer.
func (r *run) redis(t *testing.T, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.Ports.Addr(redisPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

func gone(t *testing.T, pids map[string]int) {
	t.Helper()
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s, pid %d: %v, want that it is gone", name, pid, err)
		}
	}
}

func TestStackKeepsItsDataAndLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	pids := r.pids(t)
	if len(pids) != 6 {
		t.Errorf("running: %v, want six parts", pids)
	}
	if err := Run(t.Context(), testTools(t, r.said), r.Settings); !errors.Is(err, errRunning) {
		t.Errorf("a second run: %v, want errRunning", err)
	}
	r.redis(t, "SET kept yes")
	r.stop()
	if err := r.wait(t); err != nil {
		t.Errorf("it ended with %v\n%s", err, r.said)
	}
	gone(t, pids)
	if _, err := os.Stat(envPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stack.env afterwards: %v", err)
	}
	said := r.said.String()
	for _, want := range []string{
		"migrate              │ migrated postgres://todo:todo@127.0.0.1:", "todo-service         │ up with 10 requests",
		"==> kafka: waiting for ", "Ready after ", fmt.Sprintf("curl localhost:%d/tasks", r.Ports["TODO_HTTP_PORT"]),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}

	r = start(t, dir)
	if got := r.redis(t, "STRLEN kept"); got != ":3" {
		t.Errorf("after a restart the length of the key is %s, want 3", got)
	}
	client, err := sarama.NewClient([]string{r.Ports.Addr(kafkaPort)}, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, topic := range []string{"task-events", "task-events-dlq"} {
		if partitions, err := client.Partitions(topic); err != nil || len(partitions) != 6 {
			t.Errorf("%s has partitions %v, %v; want 6", topic, partitions, err)
		}
	}
}

// Counters and stored offsets of one Kafka log must not be used with another.
func TestStackSeparatesTheDataOfEachKindOfKafka(t *testing.T) {
	t.Parallel()
	tools := testTools(t, io.Discard)
	for _, kind := range []string{toolchain.KafkaEmbedded, toolchain.KafkaApache} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := settings()
			s.Dir, s.Kafka = t.TempDir(), kind
			parts, _, err := assemble(t.Context(), tools, s)
			if err != nil && kind == toolchain.KafkaApache && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range parts.Units()[:3] {
				command, err := part.Command()
				if dir := filepath.Join(s.Dir, kind, part.Name); err != nil || !strings.Contains(strings.Join(command.Args, " "), dir) {
					t.Errorf("%s: %q, %v; want the folder %s", part.Name, command.Args, err, dir)
				}
			}
		})
	}
}

func TestStackStopsAndStartsOnePartWhileTheOthersRun(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	before := r.pids(t)
	for _, part := range []string{"kafka", "redis", "postgres", "stats-service"} {
		if err := Control(t.Context(), r.Dir, "stop", part); err != nil {
			t.Fatalf("stop %s: %v", part, err)
		}
		if pid := r.pids(t)[part]; pid != 0 {
			t.Errorf("%s still runs as %d", part, pid)
		}
		if err := Control(t.Context(), r.Dir, "start", part); err != nil {
			t.Fatalf("start %s: %v", part, err)
		}
	}
	after := r.pids(t)
	for _, part := range []string{"todo-service", "notification-service"} {
		if before[part] != after[part] {
			t.Errorf("%s was %d and is %d", part, before[part], after[part])
		}
	}
	if err := Control(t.Context(), r.Dir, "stop", "unknown"); err == nil || !strings.Contains(err.Error(), "the parts are postgres, redis") {
		t.Errorf("stopping a part that is not there: %v", err)
	}
}

func TestStackEndsWhenAPartExitsUnexpectedly(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	pids := r.pids(t)
	if err := syscall.Kill(pids["stats-service"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := r.wait(t)
	var exit *supervisor.UnexpectedExit
	if !errors.As(err, &exit) || exit.Part != "stats-service" {
		t.Errorf("it ended with %v, want the exit of stats-service", err)
	}
	if err == nil || !strings.Contains(err.Error(), "up with 10 requests") {
		t.Errorf("the log's last lines are missing in: %v", err)
	}
	gone(t, pids)
}
