package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

// TestMain lets the test's own program be a parent that starts a child and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PROC_TEST_PARENT") == "" {
		m.Run()
		return
	}
	p, err := NewLauncher().Start(Command{Path: "sleep", Args: []string{"1000"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.PID())
	<-p.Done()
}

// shell starts a script and returns it with what it prints, after it has printed its first line.
func shell(t *testing.T, script string) (*Process, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewLauncher().Start(Command{Path: "sh", Args: []string{"-c", script}, Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		_ = p.Stop(ended())
		r.Close()
	})
	output := bufio.NewReader(r)
	if _, err := output.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return p, output
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}

func TestStopSendsTheStopSignal(t *testing.T) {
	t.Parallel()
	p, output := shell(t, `trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.02; done`)
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if line, _ := output.ReadString('\n'); line != "bye\n" {
		t.Errorf("it printed %q, want bye", line)
	}
	if code := p.ExitCode(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
}

func TestStopKillsTheGroupOfAProgramThatIgnoresTheSignal(t *testing.T) {
	t.Parallel()
	p, output := shell(t, `trap '' TERM; echo up; sleep 1000 & echo $!; wait; wait; wait`)
	line, err := output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, ErrKilled) {
		t.Errorf("Stop: %v, want ErrKilled", err)
	}
	if code := p.ExitCode(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want that of SIGKILL", code)
	}
	testenv.Eventually(t, "the grandchild's end", func() bool { return !alive(grandchild) })
}

func TestChildrenExitAfterTheirParentWasKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux signals a child at its parent's death")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PROC_TEST_PARENT=1")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(child) {
		t.Fatalf("the child %d does not run", child)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	testenv.Eventually(t, "the child's end", func() bool { return !alive(child) })
}

func TestRunErrorContainsTheOutput(t *testing.T) {
	t.Parallel()
	l := NewLauncher()
	err := l.Run(t.Context(), Command{Path: "sh", Args: []string{"-c", "echo what is amiss >&2; exit 1"}})
	if err == nil || !strings.Contains(err.Error(), "what is amiss") {
		t.Errorf("the error is %v", err)
	}
	var shown bytes.Buffer
	err = l.Run(t.Context(), Command{Path: "sh", Args: []string{"-c", "echo shown; exit 1"}, Stdout: &shown, Stderr: io.Discard})
	if err == nil || strings.Contains(err.Error(), "shown") || shown.String() != "shown\n" {
		t.Errorf("the error is %v, and %q was shown", err, shown.String())
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := NewLauncher().Run(ctx, Command{Path: "sleep", Args: []string{"1000"}}); !errors.Is(err, why) {
		t.Errorf("Run: %v, want the context's cause", err)
	}
}

func TestAccountReachesOnlyFoldersThatOthersMayEnter(t *testing.T) {
	t.Parallel()
	stranger := &Account{Uid: 4242, Gid: 4242}
	open, err := os.MkdirTemp("/tmp", "account-") //nolint:usetesting // t.TempDir is closed to others itself
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(open) })
	closed := filepath.Join(open, "closed")
	for path, mode := range map[string]os.FileMode{open: 0o711, closed: 0o700} {
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(open, "link")
	if err := os.Symlink(closed, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		open: true, filepath.Join(open, "not", "there"): true,
		closed: false, filepath.Join(closed, "not", "there"): false, link: false,
	} {
		if got := stranger.CanReach(path); got != want {
			t.Errorf("CanReach(%s) = %v, want %v", path, got, want)
		}
	}
	if !(*Account)(nil).CanReach(closed) {
		t.Error("the caller itself does not reach its own folder")
	}
}
