package cluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

const stopTimeout = 8 * time.Second

// Exit describes the end of a node's process.
type Exit struct {
	Node      string
	At        time.Time
	Status    string
	Killed    bool   // by SIGKILL, from any sender
	Requested bool   // by Kill, Halt or StopAndHold
	Failpoint string // the failpoint that killed it, or ""
	InFlight  string // the work in flight at the failpoint
}

// Node is one program of the cluster: a unit that starts again whenever its process exits, until it is held. It
// is safe for concurrent use.
type Node struct {
	*supervisor.Unit
	log      *console.Console // what was done to the process, in the log of its output
	crashLog string           // path of the log that failpoints write
	onExit   func(Exit)

	mu            sync.Mutex
	program       string        // path of the program of the next start; "" for the part's own
	nextFailpoint func() string // returns FAILPOINT for the next start
	crashLogRead  int           // bytes of the crash log that were read
}

func newNode(part supervisor.Part, dir string, launcher *proc.Launcher, onExit func(Exit)) *Node {
	n := &Node{
		log:      console.Plain(nodeLog(filepath.Join(dir, part.Name+".log"))),
		crashLog: filepath.Join(dir, part.Name+".crashes"),
		onExit:   onExit,
	}
	describe := part.Command
	part.Command = func() (proc.Command, error) {
		command, err := describe()
		command.Env = append(slices.Clip(command.Env), n.failpointEnviron()...)
		n.mu.Lock()
		defer n.mu.Unlock()
		command.Path = cmp.Or(n.program, command.Path)
		return command, err
	}
	n.Unit = supervisor.NewUnit(supervisor.Config{
		Launcher: launcher, Console: n.log, LogDir: dir, StopTimeout: stopTimeout, Restart: true, OnExit: n.reportExit,
	}, part)
	return n
}

// Name is "kafka", "stats-service-1", ….
func (n *Node) Name() string { return n.Unit.Name }

// Start starts the program without waiting, unless it runs already.
func (n *Node) Start() { _ = n.Launch() }

// StartAndWait starts the program and returns when it is ready.
func (n *Node) StartAndWait(ctx context.Context) error {
	n.Start()
	return n.AwaitReady(ctx)
}

// StopAndHold stops the process gracefully, without a restart until Start.
func (n *Node) StopAndHold(ctx context.Context) {
	_ = n.Stop(ctx) // the report of the exit says whether it was killed
}

// Freeze suspends the process and its descendants by SIGSTOP.
func (n *Node) Freeze() {
	n.log.Progress("frozen")
	n.Signal(syscall.SIGSTOP)
}

// Resume ends a Freeze by SIGCONT.
func (n *Node) Resume() {
	n.log.Progress("resumed")
	n.Signal(syscall.SIGCONT)
}

// setProgram sets the path of the program for every later start.
func (n *Node) setProgram(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.program = path
}

// ArmFailpoints calls next before every later start for the value of FAILPOINT, "" for none. A
// nil function disarms the node.
func (n *Node) ArmFailpoints(next func() string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextFailpoint = next
}

func (n *Node) failpointEnviron() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nextFailpoint != nil {
		if point := n.nextFailpoint(); point != "" {
			return []string{"FAILPOINT=" + point, "FAILPOINT_LOG=" + n.crashLog}
		}
	}
	return nil
}

func (n *Node) reportExit(e supervisor.Exit) {
	exit := Exit{Node: n.Name(), At: time.Now(), Status: e.Status, Killed: e.Code == 128+int(syscall.SIGKILL)}
	// A process that failed by itself just before, or while it was stopped, did not exit on request.
	exit.Requested = e.Requested && (exit.Killed || e.Code == 0)
	exit.Failpoint, exit.InFlight = n.readCrash()
	n.log.Progress("exited: %+v", exit)
	n.onExit(exit)
}

// readCrash reads what was added to the crash log since the last call.
func (n *Node) readCrash() (failpoint, inFlight string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	content, err := os.ReadFile(n.crashLog)
	if err != nil {
		return "", ""
	}
	line := strings.TrimSpace(string(content[n.crashLogRead:]))
	n.crashLogRead = len(content)
	failpoint, inFlight, _ = strings.Cut(line, " ")
	return failpoint, inFlight
}

// ResidentBytes is the resident memory of the process, 0 if unknown.
func (n *Node) ResidentBytes() int64 {
	var size, resident int64
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.PID())) // empty without a process
	_, _ = fmt.Sscan(string(content), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// nodeLog is the path of a node's log. It appends messages with their time.
type nodeLog string

func (l nodeLog) Write(message []byte) (int, error) {
	log, err := os.OpenFile(string(l), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil { // otherwise the run continues without the line
		fmt.Fprintf(log, "prove %s: %s", time.Now().Format("15:04:05.000"), message)
		_ = log.Close()
	}
	return len(message), nil
}
