package supervisor

import (
	"io"
	"os"
	"slices"

	"example.com/todo/scripts/internal/console"
)

// openLog opens the log of a part and returns the writer of the part's output.
func (s *Supervisor) openLog(p *managedPart) (log *os.File, output io.Writer, err error) {
	log, err = os.OpenFile(s.logPath(p), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(s.cfg.Shown, p.Name()) {
		return log, log, nil
	}
	return log, io.MultiWriter(&lossyLog{file: log, part: p.Name(), console: s.cfg.Console}, s.cfg.Console.LineWriter(p.Name())), nil
}

// lossyLog writes a part's output to its log and drops what cannot be written, for instance on a full
// disk. An error would close the pipe that the part writes to.
type lossyLog struct {
	file    *os.File
	part    string
	console *console.Console
	failing bool
}

func (l *lossyLog) Write(p []byte) (int, error) {
	_, err := l.file.Write(p)
	if err != nil && !l.failing {
		l.console.Progress("%s: its log loses output, the part goes on: %v", l.part, err)
	}
	l.failing = err != nil
	return len(p), nil
}

var _ io.Writer = (*lossyLog)(nil)
