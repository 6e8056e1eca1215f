package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/process/processtest"
)

// TestMain lets the test binary be devstack.
func TestMain(m *testing.M) {
	if os.Getenv("DEVSTACK_TEST") != "" {
		os.Exit(run()) //nolint:forbidigo // as main does
	}
	os.Setenv("DEVSTACK_TEST", "1") // for the programs that tests start
	for _, server := range []string{"TEST_POSTGRES_DSN", "TEST_REDIS_ADDR", "TEST_KAFKA_BROKERS"} {
		os.Unsetenv(server) // those of a devstack around this test
	}
	processtest.UnignoreSignals()
	m.Run()
}

// devstack is the program with arguments, in a temporary folder of its own.
func devstack(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	return c
}

func TestWithReturnsTheCommandsExitCode(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		`exit 7`: 7, `kill -9 $$`: 128 + 9, `test "$TEST_REDIS_ADDR" && test -z "$TEST_POSTGRES_DSN"`: 0,
	} {
		c := devstack(t, "with", "--redis", "--", "sh", "-c", script)
		output, err := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != want {
			t.Errorf("%s: exit code %d (%v), want %d\n%s", script, code, err, want, output)
		}
	}
}

func TestWithRejectsDurableWithoutPostgres(t *testing.T) {
	t.Parallel()
	output, err := devstack(t, "with", "--redis", "--durable", "--", "true").CombinedOutput()
	if err == nil || !strings.Contains(string(output), "--durable needs --postgres") {
		t.Errorf("%v:\n%s", err, output)
	}
}

func TestWithPrintsOnlyTheCommandsOutputToStdout(t *testing.T) {
	t.Parallel()
	output, err := devstack(t, "with", "--redis", "--", "echo", "--hello").Output()
	if err != nil || string(output) != "--hello\n" {
		t.Errorf("output %q, %v; want --hello alone", output, err)
	}
}

func TestWithBestKafkaFallsBackToEmbeddedWithoutJava(t *testing.T) {
	t.Parallel()
	c := devstack(t, "with", "--kafka=best", "--", "sh", "-c", `test "$TEST_KAFKA_BROKERS"`)
	c.Env = append(c.Env, "JAVA_HOME="+t.TempDir(), "CI=")
	output, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "Java 17") || !strings.Contains(string(output), "waiting for the embedded broker") {
		t.Errorf("%v, want the embedded Kafka and why:\n%s", err, output)
	}
}

func TestWithLeavesNoProcessAfterASignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			if signal == syscall.SIGKILL && runtime.GOOS != "linux" {
				t.Skip("only Linux signals a child at its parent's death")
			}
			c := devstack(t, "with", "--redis", "--kafka", "--", "sh", "-c", `echo $TEST_REDIS_ADDR $TEST_KAFKA_BROKERS; exec sleep 1000`)
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := c.Wait(); !errors.As(err, &exit) {
				t.Errorf("it ended with %v, want an exit code", err)
			}
			for _, addr := range strings.Fields(line) {
				gone(t, addr)
			}
		})
	}
}

// The command runs to its end, and devstack returns its exit code.
func TestWithGoesOnWhenItsStderrCannotBeWritten(t *testing.T) {
	t.Parallel()
	unread, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	unread.Close()
	defer broken.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for name, stderr := range map[string]*os.File{"its reader left": broken, "the disk is full": full} {
		c := devstack(t, "with", "--redis", "--", "sh", "-c", "exit 7")
		c.Stderr = stderr
		if err := c.Run(); c.ProcessState.ExitCode() != 7 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosedStdoutEndsACommandWithoutAnError(t *testing.T) {
	t.Parallel()
	unread, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	unread.Close()
	defer broken.Close()
	c := devstack(t, "reset", "--dir", t.TempDir())
	var said strings.Builder
	c.Stdout, c.Stderr = broken, &said
	if err := c.Run(); err != nil || said.String() != "" {
		t.Errorf("%v: %q", err, said.String())
	}
}

// gone waits until no server process for addr, host:port, exists.
func gone(t *testing.T, addr string) {
	t.Helper()
	limit := time.After(10 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	_, port, _ := strings.Cut(addr, ":")
	for {
		found, err := exec.Command("pgrep", "-f", fmt.Sprintf("(redis-server|kafka-embedded).*:%s", port)).Output()
		if err != nil {
			return // pgrep fails when it finds none
		}
		select {
		case <-limit:
			t.Fatalf("still running: %s", found)
		case <-again.C:
		}
	}
}

func TestInvalidArgumentsAreRejectedWithTheValidOnes(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]string{
		"with -- true":                  "name at least one of --postgres, --redis and --kafka",
		"with --redis -- no-such-thing": "no-such-thing",
		"with --kafka=fake -- true":     "embedded, apache or best",
		"run --kafka=fake":              "embedded, apache or best",
		"fetch --kafka=fake":            "embedded, apache or best",
		"run --ports=some":              "chosen or free",
		"stop":                          "the parts are postgres, redis, kafka",
		"start a b":                     "make start PART=kafka",
		"go":                            "unknown command",
	} {
		output, err := devstack(t, strings.Fields(call)...).CombinedOutput()
		if err == nil || !strings.Contains(string(output), want) {
			t.Errorf("devstack %s: %v, %q; want %q", call, err, output, want)
		}
	}
}
