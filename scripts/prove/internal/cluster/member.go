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
	askEvery  = 50 * time.Millisecond
	askLimit  = 2 * time.Second
	startRest = 200 * time.Millisecond // after a start of a program that ended at once
	stopLimit = 8 * time.Second
)

// End is the end of a process of a member.
type End struct {
	Member string
	At     time.Time
	Status string
	Killed bool   // by SIGKILL, whoever sent it
	Asked  bool   // by Kill, Hold or Stop
	Point  string // the crash point at which it died, if any
	InHand string // there
}

// Member is one program of the system that is kept running: when its process ends, it is started again,
// until it is held.
type Member struct {
	part     supervisor.Part
	name     string
	dir      string // of its log, and of the journal of its crash points
	launcher *proc.Launcher
	onEnd    func(End)

	mu      sync.Mutex
	wanted  bool
	changed chan struct{} // closed when wanted changes
	process *proc.Process
	asked   bool          // the end of process
	arm     func() string // what FAILPOINT the next start gets
	read    int64         // how much of the journal is known
}

// Name is "kafka", "stats-service-1", ….
func (m *Member) Name() string { return m.name }

// LogPath is where the program's output goes.
func (m *Member) LogPath() string { return filepath.Join(m.dir, m.name+".log") }

func (m *Member) journal() string { return filepath.Join(m.dir, m.name+".crashes") }

// keep starts the program whenever it is wanted and does not run, until ctx ends. Then it stops it.
func (m *Member) keep(ctx context.Context) {
	for m.awaitWanted(ctx) {
		began := time.Now()
		if err := m.live(ctx); err != nil {
			m.note("prove could not start it: " + err.Error())
		}
		if time.Since(began) < startRest {
			wait(ctx, startRest)
		}
	}
}

// live is one life of the program, from its start to its end.
func (m *Member) live(ctx context.Context) error {
	process, err := m.launch(ctx)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		m.stop(context.WithoutCancel(ctx))
	}
	m.bury(process)
	return nil
}

func (m *Member) launch(ctx context.Context) (*proc.Process, error) {
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
	if m.arm != nil {
		if point := m.arm(); point != "" {
			command.Env = append(slices.Clip(command.Env), "FAILPOINT="+point, "FAILPOINT_LOG="+m.journal())
		}
	}
	m.process, err = m.launcher.Start(command)
	m.asked = false
	return m.process, err
}

// bury tells of the end of a process.
func (m *Member) bury(process *proc.Process) {
	m.mu.Lock()
	end := End{Member: m.name, At: time.Now(), Status: "exit status 0"}
	if err := process.Err(); err != nil {
		end.Status = err.Error()
	}
	end.Killed = process.ExitCode() == 128+int(syscall.SIGKILL)
	// One that failed on its own just before, or while it was stopped, did not do what it was asked.
	end.Asked = m.asked && (end.Killed || process.Err() == nil)
	end.Point, end.InHand = m.lastCrash()
	m.process = nil
	m.mu.Unlock()
	m.note(fmt.Sprintf("it ended: %+v", end))
	m.onEnd(end)
}

// stop ends the process, if one runs, as an operator would, also one that is frozen.
func (m *Member) stop(ctx context.Context) {
	process := m.ask()
	if process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	signal(process, syscall.SIGCONT)
	if process.Stop(ctx) != nil {
		m.note("it did not stop in time and was killed")
	}
}

// note writes into the program's own log what was done to it.
func (m *Member) note(what string) {
	log, err := os.OpenFile(m.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // a run goes on without it
	}
	_, _ = fmt.Fprintf(log, "prove %s: %s\n", time.Now().Format("15:04:05.000"), what)
	_ = log.Close()
}

// awaitWanted returns false when ctx has ended.
func (m *Member) awaitWanted(ctx context.Context) bool {
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

func (m *Member) want(wanted bool) {
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
