package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

const (
	pollInterval = 50 * time.Millisecond
	stopTimeout  = 8 * time.Second
)

// Exit describes the end of a node's process.
type Exit struct {
	Node      string
	At        time.Time
	Status    string
	Killed    bool   // by SIGKILL, from any sender
	Requested bool   // by Kill, KillAndHold or StopAndHold
	Failpoint string // the failpoint that killed it, or ""
	InFlight  string // the work in flight at the failpoint
}

// Node is one program of the cluster. Its supervisor starts it again whenever its process exits, until it
// is held. It is safe for concurrent use.
type Node struct {
	name       string
	dir        string // of the logs of the program and of its failpoint crashes
	supervisor *supervisor.Supervisor
	onExit     func(Exit)

	mu            sync.Mutex
	nextFailpoint func() string // returns FAILPOINT for the next start
	crashLogRead  int64         // bytes of the crash log that were read
}

func newNode(part supervisor.Part, dir string, launcher *proc.Launcher, onExit func(Exit)) *Node {
	n := &Node{name: part.Name(), dir: dir, onExit: onExit}
	n.supervisor = supervisor.New(supervisor.Config{
		Launcher: launcher, Console: console.Plain(nodeLog{n}), LogDir: dir, StopTimeout: stopTimeout,
		Restart: supervisor.RestartAlways, Environ: n.failpointEnviron, OnExit: n.reportExit,
	}, part)
	return n
}

// Name is "kafka", "stats-service-1", ….
func (n *Node) Name() string { return n.name }

// LogPath is the path of the program's output.
func (n *Node) LogPath() string { return filepath.Join(n.dir, n.name+".log") }

func (n *Node) crashLogPath() string { return filepath.Join(n.dir, n.name+".crashes") }

// StartAndWait starts the program and returns when it is ready.
func (n *Node) StartAndWait(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return err
	}
	return n.AwaitReady(ctx)
}

// Start starts the program without waiting, also when ctx has ended.
func (n *Node) Start(ctx context.Context) {
	if err := n.start(context.WithoutCancel(ctx)); err != nil {
		n.appendLog("not started: " + err.Error())
	}
}

func (n *Node) start(ctx context.Context) error {
	if err := n.supervisor.Launch(ctx, n.name); err != nil && !errors.Is(err, supervisor.ErrUnchanged) {
		return err
	}
	return nil
}

// AwaitReady returns when the program is ready, or with an error when ctx ends.
func (n *Node) AwaitReady(ctx context.Context) error {
	last := errors.New("not checked yet")
	for ctx.Err() == nil {
		if last = n.CheckReady(ctx); last == nil {
			return nil
		}
		retry.Wait(ctx, pollInterval)
	}
	return fmt.Errorf("%s is not ready: %w; last check: %w", n.name, context.Cause(ctx), last)
}

// CheckReady returns nil if the process runs and is ready.
func (n *Node) CheckReady(ctx context.Context) error { return n.supervisor.CheckReady(ctx, n.name) }

// PID is the id of the process, 0 if none runs.
func (n *Node) PID() int { return n.supervisor.PID(n.name) }

func (n *Node) failpointEnviron(string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nextFailpoint == nil {
		return nil
	}
	point := n.nextFailpoint()
	if point == "" {
		return nil
	}
	return []string{"FAILPOINT=" + point, "FAILPOINT_LOG=" + n.crashLogPath()}
}

func (n *Node) reportExit(e supervisor.Exit) {
	exit := Exit{Node: n.name, At: e.At, Status: "exit status 0", Killed: e.Code == 128+int(syscall.SIGKILL)}
	if e.Err != nil {
		exit.Status = e.Err.Error()
	}
	// A process that failed by itself just before, or while it was stopped, did not exit on request.
	exit.Requested = e.Requested && (exit.Killed || e.Err == nil)
	n.mu.Lock()
	exit.Failpoint, exit.InFlight = n.readCrash()
	n.mu.Unlock()
	n.appendLog(fmt.Sprintf("exited: %+v", exit))
	n.onExit(exit)
}

// nodeLog is an io.Writer that appends the supervisor's messages to the node's log.
type nodeLog struct{ node *Node }

func (l nodeLog) Write(message []byte) (int, error) {
	l.node.appendLog(strings.TrimSpace(string(message)))
	return len(message), nil
}

// appendLog writes what was done to the process into its own log.
func (n *Node) appendLog(what string) {
	log, err := os.OpenFile(n.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // the run continues without the line
	}
	_, _ = fmt.Fprintf(log, "prove %s: %s\n", time.Now().Format("15:04:05.000"), what)
	_ = log.Close()
}
