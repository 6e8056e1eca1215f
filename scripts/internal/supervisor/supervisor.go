package supervisor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// stopShares divides StopTimeout: StopAll keeps one share for each part that is still to be stopped.
const stopShares = 9

// Config configures a Supervisor.
type Config struct {
	Launcher    *proc.Launcher
	Console     *console.Console
	LogDir      string        // the output of a part goes to <name>.log in it
	Shown       []string      // parts whose output is also shown on the console
	StopTimeout time.Duration // of Stop, and of StopAll for all parts together
	Restart     RestartPolicy
	Environ     func(part string) []string // if not nil: further variables for each start
	OnExit      func(Exit)                 // if not nil: called after each exit, from several goroutines
}

// Supervisor runs parts. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg   Config
	parts []*managedPart
	exits chan *UnexpectedExit

	running context.Context // ends with StopAll
	close   context.CancelFunc
	waits   sync.WaitGroup // for the exits of processes, and for restarts
	mu      sync.Mutex     // guards the state of the parts
}

// New returns a Supervisor for parts that do not run yet. StopAll stops them in the reverse order.
func New(cfg Config, parts ...Part) *Supervisor {
	s := &Supervisor{cfg: cfg, exits: make(chan *UnexpectedExit, 1)}
	s.running, s.close = context.WithCancel(context.Background())
	for _, p := range parts {
		s.parts = append(s.parts, &managedPart{Part: p})
	}
	return s
}

// Names returns the names of the parts in the order of New.
func (s *Supervisor) Names() []string {
	var names []string
	for _, p := range s.parts {
		names = append(names, p.Name())
	}
	return names
}

// PID returns the process id of a part, or 0 if it does not run.
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

// UnexpectedExits delivers the first part that exited without a stop, under RestartNever.
func (s *Supervisor) UnexpectedExits() <-chan *UnexpectedExit { return s.exits }

var (
	// ErrUnknownPart means that the supervisor has no part of that name.
	ErrUnknownPart = errors.New("there is no part")
	// ErrUnchanged means that the part is in the requested state already.
	ErrUnchanged = errors.New("nothing to do")
)

// Start starts a part and returns when it is ready. ErrUnchanged: it runs already; *UnexpectedExit: it
// exited before it was ready. At the end of ctx Start returns, and the part goes on.
func (s *Supervisor) Start(ctx context.Context, name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	p.transition.Lock()
	defer p.transition.Unlock()
	process, err := s.startProcess(ctx, p)
	if err != nil {
		return err
	}
	return s.awaitReady(ctx, p, process)
}

// Launch starts a part and does not wait until it is ready. Under RestartAlways it does not even wait for the
// start, which is tried until it succeeds. ErrUnchanged: the part runs already.
func (s *Supervisor) Launch(ctx context.Context, name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	p.transition.Lock()
	defer p.transition.Unlock()
	if s.cfg.Restart == RestartAlways {
		return s.launchInBackground(p)
	}
	_, err = s.startProcess(ctx, p)
	return err
}

func (s *Supervisor) launchInBackground(p *managedPart) error {
	generation, changed := s.setWanted(p, true)
	if !changed {
		return fmt.Errorf("%w: %s runs already", ErrUnchanged, p.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running.Err() != nil {
		return fmt.Errorf("start %s: the supervisor is being stopped", p.Name())
	}
	s.waits.Go(func() { s.restart(p, generation, time.Time{}) })
	return nil
}

func (s *Supervisor) startProcess(ctx context.Context, p *managedPart) (*proc.Process, error) {
	generation, changed := s.setWanted(p, true)
	if !changed {
		return nil, fmt.Errorf("%w: %s runs already", ErrUnchanged, p.Name())
	}
	err := p.Prepare(ctx)
	var process *proc.Process
	if err == nil {
		process, err = s.launch(p, generation)
	}
	if err != nil {
		s.setWanted(p, false)
		return nil, fmt.Errorf("start %s: %w", p.Name(), err)
	}
	return process, nil
}

// StartAll starts parts in parallel and returns when all are ready, or with the first error.
func (s *Supervisor) StartAll(ctx context.Context, names ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error { return s.Start(ctx, name) })
	}
	return group.Wait()
}

// Stop stops a part; the others go on. ErrUnchanged: it does not run; proc.ErrKilled: it did not stop
// within StopTimeout and was killed.
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

// StopAll stops every part, the last one first, within StopTimeout, even after the end of ctx. Afterwards
// no part can be started, every OnExit has returned and no part is prepared any more. The error names the parts that exceeded their share of the time and were killed.
func (s *Supervisor) StopAll(ctx context.Context) error {
	s.close()
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
	s.waits.Wait()
	return errors.Join(failed...)
}

func (s *Supervisor) stopPart(ctx context.Context, p *managedPart) error {
	s.setWanted(p, false)
	process, cleared := s.requestExit(p)
	if process == nil {
		return fmt.Errorf("%w: %s does not run", ErrUnchanged, p.Name())
	}
	began := time.Now()
	// A process that SIGSTOP suspended would not handle the stop signal.
	signalTree(process, syscall.SIGCONT)
	err := process.Stop(ctx)
	<-cleared
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

// launch starts a process of a part that has none, unless the part was stopped since that generation began.
func (s *Supervisor) launch(p *managedPart, generation int) (*proc.Process, error) {
	command, err := p.Command()
	if err != nil {
		return nil, err
	}
	log, output, err := s.openLog(p)
	if err != nil {
		return nil, err
	}
	command.Stdout, command.Stderr = output, output

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running.Err() != nil || !p.wanted || p.generation != generation || p.process != nil {
		_ = log.Close()
		return nil, fmt.Errorf("%s or the supervisor is being stopped", p.Name())
	}
	if s.cfg.Environ != nil {
		command.Env = append(slices.Clip(command.Environ()), s.cfg.Environ(p.Name())...)
	}
	process, err := s.cfg.Launcher.Start(command)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	p.process, p.cleared, p.requested = process, make(chan struct{}), false
	s.waits.Go(func() { s.supervise(p, process, log) })
	return process, nil
}

// setWanted returns the part's generation, and whether it began with this call.
func (s *Supervisor) setWanted(p *managedPart, wanted bool) (generation int, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if changed = p.wanted != wanted; changed {
		p.wanted = wanted
		p.generation++
	}
	return p.generation, changed
}

// requestExit records that the supervisor ends the process of a part, if one runs. The channel is closed
// when the part has no process any more.
func (s *Supervisor) requestExit(p *managedPart) (*proc.Process, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.requested = p.process != nil
	return p.process, p.cleared
}

func (s *Supervisor) logPath(p *managedPart) string {
	return filepath.Join(s.cfg.LogDir, p.Name()+".log")
}
