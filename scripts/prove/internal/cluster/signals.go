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
func (n *Node) StartAndWait(ctx context.Context) error {
	n.setWanted(true)
	return n.AwaitReady(ctx)
}

// Start starts the program without waiting.
func (n *Node) Start() { n.setWanted(true) }

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
func (n *Node) CheckReady(ctx context.Context) error {
	if n.PID() == 0 {
		return fmt.Errorf("%s does not run", n.name)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return n.part.Ready(ctx)
}

// PID is the id of the process, 0 if none runs.
func (n *Node) PID() int {
	if p := n.current(); p != nil {
		return p.PID()
	}
	return 0
}

func (n *Node) current() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// Kill kills the process and its descendants by SIGKILL, and returns when it has exited. The node
// restarts it at once. Without a process it does nothing.
func (n *Node) Kill() {
	if process := n.requestExit(); process != nil {
		signalTree(process, syscall.SIGKILL)
		<-process.Done()
	}
}

// requestExit records that the exit of the current process is requested, and returns the process
// or nil.
func (n *Node) requestExit() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.exitRequested = n.process != nil
	return n.process
}

// KillAndHold is Kill without a restart, until Start.
func (n *Node) KillAndHold() {
	n.setWanted(false)
	n.Kill()
}

// StopAndHold stops the process gracefully, without a restart until Start.
func (n *Node) StopAndHold(ctx context.Context) {
	n.setWanted(false)
	n.terminate(ctx)
}

// Freeze suspends the process and its descendants by SIGSTOP.
func (n *Node) Freeze() {
	n.appendLog("frozen")
	signalTree(n.current(), syscall.SIGSTOP)
}

// Resume ends a Freeze by SIGCONT.
func (n *Node) Resume() {
	n.appendLog("resumed")
	signalTree(n.current(), syscall.SIGCONT)
}

// ArmFailpoints calls next before every later start for the value of FAILPOINT, "" for none. A
// nil function disarms the node.
func (n *Node) ArmFailpoints(next func() string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextFailpoint = next
}

// signalTree signals the process and its descendants. The process comes first, so that it does not
// replace its children meanwhile.
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
func (n *Node) readCrash() (failpoint, inFlight string) {
	content, err := os.ReadFile(n.crashLogPath())
	if err != nil || int64(len(content)) <= n.crashLogRead {
		return "", ""
	}
	line := strings.TrimSpace(string(bytes.TrimSpace(content[n.crashLogRead:])))
	n.crashLogRead = int64(len(content))
	failpoint, inFlight, _ = strings.Cut(line, " ")
	return failpoint, inFlight
}

// ResidentBytes is the resident memory of the process, 0 if unknown.
func (n *Node) ResidentBytes() int64 {
	var size, resident int64
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.PID()))
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
