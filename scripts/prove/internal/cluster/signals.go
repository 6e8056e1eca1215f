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

// Kill kills the process and its descendants by SIGKILL, and returns when it has exited. The node
// restarts it at once. Without a process it does nothing.
func (n *Node) Kill() { _ = n.supervisor.Kill(n.name) } // the name is known

// KillAndHold is Kill without a restart, until Start.
func (n *Node) KillAndHold() { _ = n.supervisor.Halt(n.name) } // the name is known

// StopAndHold stops the process gracefully, without a restart until Start.
func (n *Node) StopAndHold(ctx context.Context) {
	if err := n.supervisor.Stop(ctx, n.name); errors.Is(err, proc.ErrKilled) {
		n.appendLog("did not stop in time, killed")
	}
}

// Freeze suspends the process and its descendants by SIGSTOP.
func (n *Node) Freeze() {
	n.appendLog("frozen")
	_ = n.supervisor.Signal(n.name, syscall.SIGSTOP) // without a process there is nothing to suspend
}

// Resume ends a Freeze by SIGCONT.
func (n *Node) Resume() {
	n.appendLog("resumed")
	_ = n.supervisor.Signal(n.name, syscall.SIGCONT)
}

// ArmFailpoints calls next before every later start for the value of FAILPOINT, "" for none. A
// nil function disarms the node.
func (n *Node) ArmFailpoints(next func() string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextFailpoint = next
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
