package supervisor

import (
	"fmt"
	"io"
	"syscall"
	"time"

	"example.com/todo/scripts/internal/proc"
)

// RestartPolicy says what follows the exit of a part that was not stopped.
type RestartPolicy int

// RestartNever delivers the exit on UnexpectedExits. RestartAlways starts the part again.
const (
	RestartNever RestartPolicy = iota
	RestartAlways
)

// minUptime bounds the restart rate: after a shorter life the restart waits this long.
const minUptime = 200 * time.Millisecond

// supervise waits for the exit of a process and applies the restart policy.
func (s *Supervisor) supervise(p *managedPart, process *proc.Process, log io.Closer) {
	began := time.Now()
	<-process.Done()
	_ = log.Close() // every write has returned
	s.mu.Lock()
	exit := Exit{Part: p.Name(), At: time.Now(), Err: process.Err(), Code: process.ExitCode(), Requested: p.requested}
	wanted, generation := p.wanted, p.generation
	p.wanted = wanted && s.cfg.Restart == RestartAlways
	p.process = nil
	close(p.cleared)
	s.mu.Unlock()
	if s.cfg.OnExit != nil {
		s.cfg.OnExit(exit)
	}
	switch {
	case !wanted:
	case s.cfg.Restart == RestartAlways:
		s.restart(p, generation, began)
	default:
		select {
		case s.exits <- s.unexpected(p, process):
		default: // the first exit ends the system
		}
	}
}

// restart launches a part until that succeeds or the part is stopped. began is when its last process, or
// attempt, began.
func (s *Supervisor) restart(p *managedPart, generation int, began time.Time) {
	for {
		if wait := minUptime - time.Since(began); wait > 0 {
			select {
			case <-s.running.Done():
				return
			case <-time.After(wait):
			}
		}
		if !s.isCurrent(p, generation) {
			return
		}
		began = time.Now()
		err := p.Prepare(s.running)
		if err == nil {
			_, err = s.launch(p, generation)
		}
		if err == nil || !s.isCurrent(p, generation) {
			return
		}
		s.cfg.Console.Progress("%s: restart failed, retrying: %v", p.Name(), err)
	}
}

// isCurrent reports whether the part is to run and was not stopped since that generation began.
func (s *Supervisor) isCurrent(p *managedPart, generation int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.wanted && p.generation == generation && s.running.Err() == nil
}

// Kill ends the process of a part and its descendants by SIGKILL, and returns after the exit. A part
// without a process is no error. Under RestartAlways the part starts again.
func (s *Supervisor) Kill(name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	if process, cleared := s.requestExit(p); process != nil {
		signalTree(process, syscall.SIGKILL)
		<-cleared
	}
	return nil
}

// Halt kills a part as Kill does, and keeps it from running until Start.
func (s *Supervisor) Halt(name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	s.setWanted(p, false)
	return s.Kill(name)
}

// Signal sends a signal to the process of a part and to its descendants.
func (s *Supervisor) Signal(name string, signal syscall.Signal) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	process := p.process
	s.mu.Unlock()
	if process == nil {
		return fmt.Errorf("%w: %s does not run", ErrUnchanged, name)
	}
	signalTree(process, signal)
	return nil
}

// signalTree signals the process first: it must not replace its children meanwhile.
func signalTree(process *proc.Process, signal syscall.Signal) {
	children := proc.Descendants(process.PID())
	process.Signal(signal)
	for _, child := range append(children, proc.Descendants(process.PID())...) {
		_ = syscall.Kill(child, signal) // it may have exited
	}
}
