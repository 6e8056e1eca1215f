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

// Up has the program run, and returns once it serves.
func (m *Member) Up(ctx context.Context) error {
	m.want(true)
	return m.Await(ctx)
}

// Start has the program run, without waiting for it.
func (m *Member) Start() { m.want(true) }

// Await returns once the program serves.
func (m *Member) Await(ctx context.Context) error {
	last := errors.New("it was not asked")
	for ctx.Err() == nil {
		if last = m.Ready(ctx); last == nil {
			return nil
		}
		wait(ctx, askEvery)
	}
	return fmt.Errorf("%s is not ready: %w; the last answer: %w", m.name, context.Cause(ctx), last)
}

// Ready returns nil when the program runs and serves.
func (m *Member) Ready(ctx context.Context) error {
	if m.PID() == 0 {
		return fmt.Errorf("%s does not run", m.name)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return m.part.Ready(ctx)
}

// PID is the process's id, 0 when none runs.
func (m *Member) PID() int {
	if p := m.running(); p != nil {
		return p.PID()
	}
	return 0
}

func (m *Member) running() *proc.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// Kill ends the process, and those that it started, by SIGKILL. The program is started again at once.
// It returns when the process is gone; one that does not run is no error.
func (m *Member) Kill() {
	if process := m.ask(); process != nil {
		signal(process, syscall.SIGKILL)
		<-process.Done()
	}
}

// ask notes that the end of the process that runs, if one does, is asked for.
func (m *Member) ask() *proc.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = m.process != nil
	return m.process
}

// Hold ends the program by SIGKILL, and keeps it from running until Up is called.
func (m *Member) Hold() {
	m.want(false)
	m.Kill()
}

// Stop ends the program as an operator would, and keeps it from running until Up is called.
func (m *Member) Stop(ctx context.Context) {
	m.want(false)
	m.stop(ctx)
}

// Freeze stops the process, and those that it started, by SIGSTOP; Thaw lets them go on.
func (m *Member) Freeze() {
	m.note("frozen")
	signal(m.running(), syscall.SIGSTOP)
}

// Thaw ends a Freeze.
func (m *Member) Thaw() {
	m.note("goes on")
	signal(m.running(), syscall.SIGCONT)
}

// Arm has every later start of the program ask for its FAILPOINT, "" for none. nil ends that.
func (m *Member) Arm(point func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arm = point
}

// signal reaches the process first, so that it does not replace its children meanwhile.
func signal(process *proc.Process, s syscall.Signal) {
	if process == nil {
		return
	}
	children := proc.Descendants(process.PID())
	process.Signal(s)
	for _, child := range append(children, proc.Descendants(process.PID())...) {
		_ = syscall.Kill(child, s) // it may have ended
	}
}

// lastCrash reads what the journal says since it was read last.
func (m *Member) lastCrash() (point, inHand string) {
	content, err := os.ReadFile(m.journal())
	if err != nil || int64(len(content)) <= m.read {
		return "", ""
	}
	line := strings.TrimSpace(string(bytes.TrimSpace(content[m.read:])))
	m.read = int64(len(content))
	point, inHand, _ = strings.Cut(line, " ")
	return point, inHand
}

// Resident is how many bytes of memory the process holds, 0 when that cannot be known.
func (m *Member) Resident() int64 {
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
