package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"example.com/todo/scripts/internal/proc"
)

// StartAndWait has the program run, and returns once it serves.
func (m *Node) StartAndWait(ctx context.Context) error {
	m.setWanted(true)
	return m.AwaitReady(ctx)
}

// Start has the program run, without waiting for it.
func (m *Node) Start() { m.setWanted(true) }

// AwaitReady returns once the program serves.
func (m *Node) AwaitReady(ctx context.Context) error {
	last := errors.New("it was not asked")
	for ctx.Err() == nil {
		if last = m.CheckReady(ctx); last == nil {
			return nil
		}
		wait(ctx, pollInterval)
	}
	return fmt.Errorf("%s is not ready: %w; the last answer: %w", m.name, context.Cause(ctx), last)
}

// CheckReady returns nil when the program runs and serves.
func (m *Node) CheckReady(ctx context.Context) error {
	if m.PID() == 0 {
		return fmt.Errorf("%s does not run", m.name)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return m.part.Ready(ctx)
}

// PID is the process's id, 0 when none runs.
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

// Kill ends the process, and those that it started, by SIGKILL. The program is started again at once.
// It returns when the process is gone; one that does not run is no error.
func (m *Node) Kill() {
	if process := m.requestExit(); process != nil {
		signalTree(process, syscall.SIGKILL)
		<-process.Done()
	}
}

// requestExit notes that the end of the process that runs, if one does, is asked for.
func (m *Node) requestExit() *proc.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exitRequested = m.process != nil
	return m.process
}

// KillAndHold ends the program by SIGKILL, and keeps it from running until Up is called.
func (m *Node) KillAndHold() {
	m.setWanted(false)
	m.Kill()
}

// StopAndHold ends the program as an operator would, and keeps it from running until Up is called.
func (m *Node) StopAndHold(ctx context.Context) {
	m.setWanted(false)
	m.terminate(ctx)
}

// Freeze stops the process, and those that it started, by SIGSTOP; Thaw lets them go on.
func (m *Node) Freeze() {
	m.appendLog("frozen")
	signalTree(m.current(), syscall.SIGSTOP)
}

// Resume ends a Freeze.
func (m *Node) Resume() {
	m.appendLog("goes on")
	signalTree(m.current(), syscall.SIGCONT)
}

// ArmFailpoints has every later start of the program ask for its FAILPOINT, "" for none. nil ends that.
func (m *Node) ArmFailpoints(point func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextFailpoint = point
}

// signalTree reaches the process first, so that it does not replace its children meanwhile.
func signalTree(process *proc.Process, s syscall.Signal) {
	if process == nil {
		return
	}
	children := proc.Descendants(process.PID())
	process.Signal(s)
	for _, child := range append(children, proc.Descendants(process.PID())...) {
		_ = syscall.Kill(child, s) // it may have ended
	}
}

// readCrash reads what the journal says since it was read last.
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

// ResidentBytes is how many bytes of memory the process holds, 0 when that cannot be known.
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
