package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/proc"
)

// minUptime bounds the restart rate: after a shorter life the restart waits this long.
const minUptime = 200 * time.Millisecond

// run is the time from a start of a part to its stop. Its processes run one after another.
type run struct {
	ctx  context.Context // ends with the run; its cause says why
	end  context.CancelCauseFunc
	done chan struct{} // closed when no process runs, and none will
}

// supervise runs processes of the part until the run ends. Without Config.Restart the first exit ends it.
func (u *Unit) supervise(r *run) {
	for r.ctx.Err() == nil {
		began := time.Now()
		process, err := u.runProcess(r)
		switch {
		case r.ctx.Err() != nil:
		case err != nil && u.cfg.Restart:
			u.cfg.Console.Progress("%s: start failed, retrying: %v", u.Name, err)
		case err != nil:
			r.end(fmt.Errorf("start %s: %w", u.Name, err))
		case !u.cfg.Restart:
			u.reportUnexpectedExit(r, process)
		}
		retry.Wait(r.ctx, minUptime-time.Since(began))
	}
	u.mu.Lock()
	u.run = nil
	u.mu.Unlock()
	close(r.done)
}

// reportUnexpectedExit ends the run after the exit of its process.
func (u *Unit) reportUnexpectedExit(r *run, process *proc.Process) {
	exit := &UnexpectedExit{Part: u.Name, Status: process.Status(), Log: u.logPath(), LastLines: lastLines(u.logPath())}
	r.end(exit)
	select {
	case u.exits <- exit:
	default: // the first exit ends the system
	}
}

// runProcess runs one process of the part, from its preparation to its exit. The error says why none started.
func (u *Unit) runProcess(r *run) (*proc.Process, error) {
	if u.Prepare != nil {
		if err := u.Prepare(r.ctx); err != nil {
			return nil, err
		}
	}
	command, err := u.Command()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(u.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command.Stdout = u.output(log)
	command.Stderr = command.Stdout
	process, err := u.startProcess(r, command)
	if err != nil {
		return nil, err
	}
	<-process.Done()
	u.mu.Lock()
	u.process = nil
	exit := Exit{Status: process.Status(), Code: process.ExitCode(), Requested: u.requested}
	u.mu.Unlock()
	if u.cfg.OnExit != nil {
		u.cfg.OnExit(exit)
	}
	return process, nil
}

func (u *Unit) startProcess(r *run, command proc.Command) (*proc.Process, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.ctx.Err() != nil {
		return nil, context.Cause(r.ctx)
	}
	process, err := u.cfg.Launcher.Start(command)
	if err == nil {
		u.process, u.requested = process, false
	}
	return process, err
}

// output returns the writer of the part's output.
func (u *Unit) output(log *os.File) io.Writer {
	if !slices.Contains(u.cfg.Shown, u.Name) {
		return log
	}
	return io.MultiWriter(&lossyLog{unit: u, file: log}, u.cfg.Console.LineWriter(u.Name))
}

// lossyLog writes a part's output to its log and drops what cannot be written, for instance on a full
// disk. An error would close the pipe that the part writes to.
type lossyLog struct {
	unit    *Unit
	file    *os.File
	failing bool
}

func (l *lossyLog) Write(p []byte) (int, error) {
	_, err := l.file.Write(p)
	if err != nil && !l.failing {
		l.unit.cfg.Console.Progress("%s: its log loses output, the part goes on: %v", l.unit.Name, err)
	}
	l.failing = err != nil
	return len(p), nil
}
