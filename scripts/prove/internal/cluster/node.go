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

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

const (
	pollInterval = 50 * time.Millisecond
	readyTimeout = 2 * time.Second
	restartDelay = 200 * time.Millisecond // after a start of a program that ended at once
	stopTimeout  = 8 * time.Second
)

// Exit is the end of a process of a member.
type Exit struct {
	Node      string
	At        time.Time
	Status    string
	Killed    bool   // by SIGKILL, whoever sent it
	Requested bool   // by Kill, Hold or Stop
	Failpoint string // the crash point at which it died, if any
	InFlight  string // there
}

// Node is one program of the system that is kept running: when its process ends, it is started again,
// until it is held.
type Node struct {
	part     supervisor.Part
	name     string
	dir      string // of its log, and of the journal of its crash points
	launcher *proc.Launcher
	onExit   func(Exit)

	mu            sync.Mutex
	wanted        bool
	changed       chan struct{} // closed when wanted changes
	process       *proc.Process
	exitRequested bool          // the end of process
	nextFailpoint func() string // what FAILPOINT the next start gets
	crashLogRead  int64         // how much of the journal is known
}

// Name is "kafka", "stats-service-1", ….
func (m *Node) Name() string { return m.name }

// LogPath is where the program's output goes.
func (m *Node) LogPath() string { return filepath.Join(m.dir, m.name+".log") }

func (m *Node) crashLogPath() string { return filepath.Join(m.dir, m.name+".crashes") }

// superviseScript starts the program whenever it is wanted and does not run, until ctx ends. Then it stops it.
func (m *Node) supervise(ctx context.Context) {
	for m.awaitWanted(ctx) {
		began := time.Now()
		if err := m.runOnce(ctx); err != nil {
			m.appendLog("prove could not start it: " + err.Error())
		}
		if time.Since(began) < restartDelay {
			wait(ctx, restartDelay)
		}
	}
}

// runOnce is one life of the program, from its start to its end.
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
	defer func() { _ = log.Close() }() // the program has its own
	command.Stdout, command.Stderr = log, log
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wanted {
		return nil, errors.New("it is not wanted any more")
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

// reportExit tells of the end of a process.
func (m *Node) reportExit(process *proc.Process) {
	m.mu.Lock()
	end := Exit{Node: m.name, At: time.Now(), Status: "exit status 0"}
	if err := process.Err(); err != nil {
		end.Status = err.Error()
	}
	end.Killed = process.ExitCode() == 128+int(syscall.SIGKILL)
	// One that failed on its own just before, or while it was stopped, did not do what it was asked.
	end.Requested = m.exitRequested && (end.Killed || process.Err() == nil)
	end.Failpoint, end.InFlight = m.readCrash()
	m.process = nil
	m.mu.Unlock()
	m.appendLog(fmt.Sprintf("it ended: %+v", end))
	m.onExit(end)
}

// terminate ends the process, if one runs, as an operator would, also one that is frozen.
func (m *Node) terminate(ctx context.Context) {
	process := m.requestExit()
	if process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	signalTree(process, syscall.SIGCONT)
	if process.Stop(ctx) != nil {
		m.appendLog("it did not stop in time and was killed")
	}
}

// appendLog writes into the program's own log what was done to it.
func (m *Node) appendLog(what string) {
	log, err := os.OpenFile(m.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // a run goes on without it
	}
	_, _ = fmt.Fprintf(log, "prove %s: %s\n", time.Now().Format("15:04:05.000"), what)
	_ = log.Close()
}

// awaitWanted returns false when ctx has ended.
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

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
