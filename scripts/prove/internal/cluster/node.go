package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

const (
	pollInterval = 50 * time.Millisecond
	readyTimeout = 2 * time.Second
	restartDelay = 200 * time.Millisecond // before the restart of a process that exited at once
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

// Node supervises one program of the cluster: whenever its process exits, the node starts it
// again, until it is held. It is safe for concurrent use.
type Node struct {
	part     supervisor.Part
	name     string
	dir      string // of the logs of the program and of its failpoint crashes
	launcher *proc.Launcher
	onExit   func(Exit)

	mu            sync.Mutex
	wanted        bool
	changed       chan struct{} // closed when wanted changes
	process       *proc.Process
	exitRequested bool          // of the current process
	nextFailpoint func() string // returns FAILPOINT for the next start
	crashLogRead  int64         // bytes of the crash log that were read
}

// Name is "kafka", "stats-service-1", ….
func (n *Node) Name() string { return n.name }

// LogPath is the path of the program's output.
func (n *Node) LogPath() string { return filepath.Join(n.dir, n.name+".log") }

func (n *Node) crashLogPath() string { return filepath.Join(n.dir, n.name+".crashes") }

// supervise runs the program whenever it is wanted, until ctx ends. Then it stops the process.
func (n *Node) supervise(ctx context.Context) {
	for n.awaitWanted(ctx) {
		started := time.Now()
		if err := n.runOnce(ctx); err != nil {
			n.appendLog("not started: " + err.Error())
		}
		if time.Since(started) < restartDelay {
			retry.Wait(ctx, restartDelay)
		}
	}
}

// runOnce runs one process of the program until it exits.
func (n *Node) runOnce(ctx context.Context) error {
	process, err := n.launch(ctx)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		n.terminate(context.WithoutCancel(ctx))
	}
	n.reportExit(process)
	return nil
}

func (n *Node) launch(ctx context.Context) (*proc.Process, error) {
	if err := n.part.Prepare(ctx); err != nil {
		return nil, err
	}
	command, err := n.part.Command()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(n.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	command.Stdout, command.Stderr = log, log
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.wanted {
		return nil, errors.New("the node was stopped meanwhile")
	}
	if n.nextFailpoint != nil {
		if point := n.nextFailpoint(); point != "" {
			command.Env = append(slices.Clip(command.Env), "FAILPOINT="+point, "FAILPOINT_LOG="+n.crashLogPath())
		}
	}
	n.process, err = n.launcher.Start(command)
	n.exitRequested = false
	return n.process, err
}

// reportExit calls onExit for a process that ended.
func (n *Node) reportExit(process *proc.Process) {
	n.mu.Lock()
	exit := Exit{Node: n.name, At: time.Now(), Status: "exit status 0"}
	if err := process.Err(); err != nil {
		exit.Status = err.Error()
	}
	exit.Killed = process.ExitCode() == 128+int(syscall.SIGKILL)
	// A process that failed by itself just before, or while it was stopped, did not exit on
	// request.
	exit.Requested = n.exitRequested && (exit.Killed || process.Err() == nil)
	exit.Failpoint, exit.InFlight = n.readCrash()
	n.process = nil
	n.mu.Unlock()
	n.appendLog(fmt.Sprintf("exited: %+v", exit))
	n.onExit(exit)
}

// terminate stops the process gracefully, if there is one. A frozen process is resumed first.
func (n *Node) terminate(ctx context.Context) {
	process := n.requestExit()
	if process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	signalTree(process, syscall.SIGCONT)
	if process.Stop(ctx) != nil {
		n.appendLog("did not stop in time, killed")
	}
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

// awaitWanted returns true when the node is wanted, false when ctx has ended.
func (n *Node) awaitWanted(ctx context.Context) bool {
	for {
		n.mu.Lock()
		wanted, changed := n.wanted, n.changed
		n.mu.Unlock()
		if ctx.Err() != nil || wanted {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (n *Node) setWanted(wanted bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted = wanted
	close(n.changed)
	n.changed = make(chan struct{})
}
