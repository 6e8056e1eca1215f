package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// stopShares is the share of the time to stop that is kept for each part that is still to be stopped.
const stopShares = 9

// Config says how a Supervisor runs its parts.
type Config struct {
	Launcher    *proc.Launcher
	Console     *console.Console
	LogDir      string        // each part's output goes to <name>.log in it
	Shown       []string      // parts whose output is shown on the console too
	StopTimeout time.Duration // how long all parts together may take to stop
}

// Supervisor runs parts. Its methods may be called from several goroutines.
type Supervisor struct {
	cfg   Config
	parts []*managedPart
	exits chan *UnexpectedExit

	mu     sync.Mutex // guards closed and what the slots say of their processes
	closed bool
}

// New returns a Supervisor for parts, none of which runs yet. They are stopped in the reverse order.
func New(cfg Config, parts ...Part) *Supervisor {
	s := &Supervisor{cfg: cfg, exits: make(chan *UnexpectedExit, 1)}
	for _, p := range parts {
		s.parts = append(s.parts, &managedPart{Part: p})
	}
	return s
}

// Names returns the parts' names in the order in which they start.
func (s *Supervisor) Names() []string {
	var names []string
	for _, p := range s.parts {
		names = append(names, p.Name())
	}
	return names
}

// PID returns the process id of a part, 0 when it does not run.
func (s *Supervisor) PID(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.Name() == name && p.process != nil {
			return p.process.PID()
		}
	}
	return 0
}

// UnexpectedExits delivers the first part that ended without having been asked to.
func (s *Supervisor) UnexpectedExits() <-chan *UnexpectedExit { return s.exits }

var (
	// ErrUnknownPart says that there is no part of a name.
	ErrUnknownPart = errors.New("there is no part")
	// ErrUnchanged says that a part already is what it was asked to become.
	ErrUnchanged = errors.New("nothing to do")
)

// Start starts a part and waits until it serves. ErrUnchanged when it runs already; a *Death when it ended
// at once. When ctx ends while the part is not ready, the part goes on.
func (s *Supervisor) Start(ctx context.Context, name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	p.transition.Lock()
	defer p.transition.Unlock()
	if s.PID(name) != 0 {
		return fmt.Errorf("%w: %s runs already", ErrUnchanged, name)
	}
	if err := p.Prepare(ctx); err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	process, err := s.launch(p)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return s.awaitReady(ctx, p, process)
}

// StartAll starts parts side by side and waits until all of them serve, or one does not.
func (s *Supervisor) StartAll(ctx context.Context, names ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error { return s.Start(ctx, name) })
	}
	return group.Wait()
}

// Stop stops a part deliberately: the others go on. ErrUnchanged when it does not run; proc.ErrKilled when
// it had to be killed.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	p.transition.Lock()
	defer p.transition.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StopTimeout)
	defer cancel()
	return s.stopPart(ctx, p)
}

// StopAll stops every part that runs, the last one first, within Config.StopTimeout; nothing can be started
// afterwards. It does not matter that ctx has ended. Parts that do not stop in their share of the time
// are killed, which the error names.
func (s *Supervisor) StopAll(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	end := time.Now().Add(s.cfg.StopTimeout)
	var failed []error
	for i, p := range slices.Backward(s.parts) {
		limited, cancel := context.WithDeadline(ctx, end.Add(-time.Duration(i)*s.cfg.StopTimeout/stopShares))
		if err := s.stopPart(limited, p); err != nil && !errors.Is(err, ErrUnchanged) {
			failed = append(failed, err)
		}
		cancel()
	}
	return errors.Join(failed...)
}

func (s *Supervisor) stopPart(ctx context.Context, p *managedPart) error {
	s.mu.Lock()
	process := p.process
	p.stopping = process != nil
	s.mu.Unlock()
	if process == nil {
		return fmt.Errorf("%w: %s does not run", ErrUnchanged, p.Name())
	}
	began := time.Now()
	err := process.Stop(ctx)
	s.mu.Lock()
	p.process = nil
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s %w", p.Name(), err)
	}
	s.cfg.Console.Progress("%s: stopped after %s", p.Name(), round(time.Since(began)))
	return nil
}

func (s *Supervisor) find(name string) (*managedPart, error) {
	for _, p := range s.parts {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w %q: the parts are %s", ErrUnknownPart, name, strings.Join(s.Names(), ", "))
}

func (s *Supervisor) launch(p *managedPart) (*proc.Process, error) {
	command, err := p.Command()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.logPath(p), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	command.Stdout = log
	if slices.Contains(s.cfg.Shown, p.Name()) {
		command.Stdout = io.MultiWriter(&lossyLog{file: log, part: p.Name(), console: s.cfg.Console}, s.cfg.Console.LineWriter(p.Name()))
	}
	command.Stderr = command.Stdout

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = log.Close()
		return nil, errors.New("the stack is stopping")
	}
	process, err := s.cfg.Launcher.Start(command)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	p.process, p.stopping = process, false
	go s.reportExit(p, process, log)
	return process, nil
}

// reportExit reports the end of a process that nobody asked to end.
func (s *Supervisor) reportExit(p *managedPart, process *proc.Process, log io.Closer) {
	<-process.Done()
	_ = log.Close() // nothing more will be written
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.process != process || p.stopping {
		return
	}
	p.process = nil
	select {
	case s.exits <- s.newExit(p, process):
	default: // one death is enough to stop everything
	}
}

func (s *Supervisor) logPath(p *managedPart) string {
	return filepath.Join(s.cfg.LogDir, p.Name()+".log")
}
