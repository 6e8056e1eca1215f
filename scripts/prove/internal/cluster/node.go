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
func (m *Node) Name() string { return m.name }

// LogPath is the path of the program's output.
func (m *Node) LogPath() string { return filepath.Join(m.dir, m.name+".log") }

func (m *Node) crashLogPath() string { return filepath.Join(m.dir, m.name+".crashes") }

// supervise runs the program whenever it is wanted, until ctx ends. Then it stops the process.
func (m *Node) supervise(ctx context.Context) {
	for m.awaitWanted(ctx) {
		began := time.Now()
		if err := m.runOnce(ctx); err != nil {
			m.appendLog("not started: " + err.Error())
		}
		if time.Since(began) < restartDelay {
			retry.Wait(ctx, restartDelay)
		}
	}
}

// runOnce runs one process of the program until it exits.
func (m *Node) runOnce(ctx context.Context) error {
	process, err := m.launch(ctx)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		m.terminate(context.WithoutCancel(ctx))
	}
	m.reportExit(process)
	return nil
}

func (m *Node) launch(ctx context.Context) (*proc.Process, error) {
	if err := m.part.Prepare(ctx); err != nil {
		return nil, err
	}
	command, err := m.part.Command()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(m.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	command.Stdout, command.Stderr = log, log
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wanted {
		return nil, errors.New("the node was stopped meanwhile")
	}
	if m.nextFailpoint != nil {
		if point := m.nextFailpoint(); point != "" {
			command.Env = append(slices.Clip(command.Env), "FAILPOINT="+point, "FAILPOINT_LOG="+m.crashLogPath())
		}
	}
	m.process, err = m.launcher.Start(command)
	m.exitRequested = false
	return m.process, err
}

// reportExit calls onExit for a process that ended.
func (m *Node) reportExit(process *proc.Process) {
	m.mu.Lock()
	end := Exit{Node: m.name, At: time.Now(), Status: "exit status 0"}
	if err := process.Err(); err != nil {
		end.Status = err.Error()
	}
	end.Killed = process.ExitCode() == 128+int(syscall.SIGKILL)
	// A process that failed by itself just before, or while it was stopped, did not exit on
	// request.
	end.Requested = m.exitRequested && (end.Killed || process.Err() == nil)
	end.Failpoint, end.InFlight = m.readCrash()
	m.process = nil
	m.mu.Unlock()
	m.appendLog(fmt.Sprintf("exited: %+v", end))
	m.onExit(end)
}

// terminate stops the process gracefully, if there is one. A frozen process is resumed first.
func (m *Node) terminate(ctx context.Context) {
	process := m.requestExit()
	if process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	signalTree(process, syscall.SIGCONT)
	if process.Stop(ctx) != nil {
		m.appendLog("did not stop in time, killed")
	}
}

// appendLog writes what was done to the process into its own log.
func (m *Node) appendLog(what string) {
	log, err := os.OpenFile(m.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // the run continues without the line
	}
	_, _ = fmt.Fprintf(log, "prove %s: %s\n", time.Now().Format("15:04:05.000"), what)
	_ = log.Close()
}

// awaitWanted returns true when the node is wanted, false when ctx has ended.
func (m *Node) awaitWanted(ctx context.Context) bool {
	for {
		m.mu.Lock()
		wanted, changed := m.wanted, m.changed
		m.mu.Unlock()
		if ctx.Err() != nil || wanted {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (m *Node) setWanted(wanted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = wanted
	close(m.changed)
	m.changed = make(chan struct{})
}
