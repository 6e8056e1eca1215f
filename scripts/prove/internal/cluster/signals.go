package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/proc"
)

// StartAndWait starts the program and returns when it is ready.
func (m *Node) StartAndWait(ctx context.Context) error {
	m.setWanted(true)
	return m.AwaitReady(ctx)
}

// Start starts the program without waiting.
func (m *Node) Start() { m.setWanted(true) }

// AwaitReady returns when the program is ready, or with an error when ctx ends.
func (m *Node) AwaitReady(ctx context.Context) error {
	last := errors.New("not checked yet")
	for ctx.Err() == nil {
		if last = m.CheckReady(ctx); last == nil {
			return nil
		}
		retry.Wait(ctx, pollInterval)
	}
	return fmt.Errorf("%s is not ready: %w; last check: %w", m.name, context.Cause(ctx), last)
}

// CheckReady returns nil if the process runs and is ready.
func (m *Node) CheckReady(ctx context.Context) error {
	if m.PID() == 0 {
		return fmt.Errorf("%s does not run", m.name)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return m.part.Ready(ctx)
}

// PID is the id of the process, 0 if none runs.
func (m *Node) PID() int {
	if p := m.current(); p != nil {
		return p.PID()
	}
	return 0
}

func (m *Node) current() *proc.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// Kill kills the process and its descendants by SIGKILL, and returns when it has exited. The node
// restarts it at once. Without a process it does nothing.
func (m *Node) Kill() {
	if process := m.requestExit(); process != nil {
		signalTree(process, syscall.SIGKILL)
		<-process.Done()
	}
}

// requestExit records that the exit of the current process is requested, and returns the process
// or nil.
func (m *Node) requestExit() *proc.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exitRequested = m.process != nil
	return m.process
}

// KillAndHold is Kill without a restart, until Start.
func (m *Node) KillAndHold() {
	m.setWanted(false)
	m.Kill()
}

// StopAndHold stops the process gracefully, without a restart until Start.
func (m *Node) StopAndHold(ctx context.Context) {
	m.setWanted(false)
	m.terminate(ctx)
}

// Freeze suspends the process and its descendants by SIGSTOP.
func (m *Node) Freeze() {
	m.appendLog("frozen")
	signalTree(m.current(), syscall.SIGSTOP)
}

// Resume ends a Freeze by SIGCONT.
func (m *Node) Resume() {
	m.appendLog("resumed")
	signalTree(m.current(), syscall.SIGCONT)
}

// ArmFailpoints calls next before every later start for the value of FAILPOINT, "" for none. A
// nil function disarms the node.
func (m *Node) ArmFailpoints(point func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextFailpoint = point
}

// The process first, so that it does not replace its children meanwhile.
func signalTree(process *proc.Process, s syscall.Signal) {
	if process == nil {
		return
	}
	children := proc.Descendants(process.PID())
	process.Signal(s)
	for _, child := range append(children, proc.Descendants(process.PID())...) {
		_ = syscall.Kill(child, s) // it may have exited
	}
}

// readCrash reads what was added to the crash log since the last call.
func (m *Node) readCrash() (point, inHand string) {
	content, err := os.ReadFile(m.crashLogPath())
	if err != nil || int64(len(content)) <= m.crashLogRead {
		return "", ""
	}
	line := strings.TrimSpace(string(bytes.TrimSpace(content[m.crashLogRead:])))
	m.crashLogRead = int64(len(content))
	point, inHand, _ = strings.Cut(line, " ")
	return point, inHand
}

// ResidentBytes is the resident memory of the process, 0 if unknown.
func (m *Node) ResidentBytes() int64 {
	var size, resident int64
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.PID()))
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
