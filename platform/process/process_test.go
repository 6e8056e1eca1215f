//go:build unix

package process_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/process"
	"example.com/todo/platform/process/processtest"
)

// TestMain runs the tests, or echoProgram in the processes that they start.
func TestMain(m *testing.M) { processtest.Main(m, echoProgram) }

// echoProgram prints "ready" and copies each line of its standard input to standard output
// and error. It returns 40 when its context ends, 41 when its output is a broken pipe.
func echoProgram() int {
	ctx, stop := process.Context()
	defer stop()
	out := process.Output(os.Stdout)
	fmt.Fprintln(out, "ready")
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return 40
		case line := <-lines:
			if _, err := fmt.Fprintln(os.Stderr, line); err != nil {
				fmt.Fprintln(out, "lost:", err)
			}
			if _, err := fmt.Fprintln(out, line); process.IsBrokenPipe(err) {
				return 41
			}
		}
	}
}

func start(t *testing.T, cmd *exec.Cmd) (stdin io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	processtest.Start(t, cmd)
	out = bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return stdin, out
}

func exitStatus(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.String()
}

func TestContextEndsWithEachStopSignal(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := processtest.Command(nil)
		start(t, cmd)
		cmd.Process.Signal(s)
		if got := exitStatus(t, cmd); got != "exit status 40" {
			t.Errorf("%v: %s", s, got)
		}
	}
}

func TestContextIgnoresSIGHUPUnderNohup(t *testing.T) {
	t.Parallel()
	cmd := processtest.Shell(nil, `trap "" HUP; exec "$0"`)
	stdin, out := start(t, cmd)
	cmd.Process.Signal(syscall.SIGHUP)
	for range 50 { // the process checks its context before each line
		io.WriteString(stdin, "hello\n")
		if line, err := out.ReadString('\n'); line != "hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if got := exitStatus(t, cmd); got != "exit status 40" {
		t.Error(got)
	}
}

func TestProcessSurvivesAStandardErrorThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"its reader left":  `exec "$0" 2>&3`,
		"the disk is full": `exec "$0" 2>/dev/full`,
		"it is closed":     `exec "$0" 2>&-`,
		"it is read-only":  `exec "$0" 2</dev/null`,
		"it may not grow":  `ulimit -f 0; exec "$0" 2>"$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unread, broken, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := processtest.Shell(nil, script, t.TempDir()+"/log")
			cmd.ExtraFiles = []*os.File{broken}
			stdin, out := start(t, cmd)
			unread.Close()
			broken.Close()
			for range 3 {
				io.WriteString(stdin, "hello\n")
				line, err := out.ReadString('\n')
				if strings.HasPrefix(line, "lost: ") {
					line, err = out.ReadString('\n')
				}
				if line != "hello\n" {
					t.Fatalf("%q, %v", line, err)
				}
			}
			cmd.Process.Signal(syscall.SIGTERM)
			if got := exitStatus(t, cmd); got != "exit status 40" {
				t.Error(got)
			}
		})
	}
}

func TestIsBrokenPipeIsTrueOnlyForAClosedPipe(t *testing.T) {
	t.Parallel()
	cmd := processtest.Command(nil)
	unread, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, _ := cmd.StdinPipe()
	cmd.Stdout = pipe
	processtest.Start(t, cmd)
	if line, err := bufio.NewReader(unread).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	unread.Close()
	pipe.Close()
	// A process that another test is starting has the pipe open for a moment, too: a line that
	// is written meanwhile breaks nothing. The writes end with the process.
	for err == nil {
		_, err = io.WriteString(stdin, "hello\n")
	}
	if got := exitStatus(t, cmd); got != "exit status 41" {
		t.Error(got)
	}

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	if _, err := process.Output(full).Write([]byte("x")); err == nil || process.IsBrokenPipe(err) || process.IsBrokenPipe(syscall.EPIPE) {
		t.Errorf("a full disk: %v", err)
	}
}
