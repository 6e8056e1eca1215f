package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/todo/platform/printable"
	"example.com/todo/scripts/internal/proc"
)

// How much of a log an UnexpectedExit quotes.
const (
	maxLastLines = 20
	maxLastBytes = 64 << 10
)

// Exit is the end of one process of a part.
type Exit struct {
	Part      string
	At        time.Time
	Err       error // nil for exit code 0
	Code      int   // 128 plus the signal's number after a signal
	Requested bool  // by Stop, Kill or Halt
}

// UnexpectedExit is the error of a part that exited without a stop.
type UnexpectedExit struct {
	Part      string
	Err       error    // nil for exit code 0
	Log       string   // path of its log
	LastLines []string // of the log, bounded and printable
}

// Error names the part, its exit status and the last lines of its log.
func (e *UnexpectedExit) Error() string {
	status := "exit status 0"
	if e.Err != nil {
		status = e.Err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s ended by itself (%s)", e.Part, status)
	if len(e.LastLines) == 0 {
		fmt.Fprintf(&b, " and wrote nothing to %s", e.Log)
		return b.String()
	}
	fmt.Fprintf(&b, "; the last %d lines of %s:", len(e.LastLines), e.Log)
	for _, line := range e.LastLines {
		fmt.Fprintf(&b, "\n    %s", line)
	}
	return b.String()
}

func (s *Supervisor) unexpected(p *managedPart, process *proc.Process) *UnexpectedExit {
	return &UnexpectedExit{Part: p.Name(), Err: process.Err(), Log: s.logPath(p), LastLines: lastLines(s.logPath(p))}
}

// lastLines returns the last lines of a file, or nil if it cannot be read.
func lastLines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, 2)
	if err != nil {
		return nil
	}
	end := make([]byte, min(size, maxLastBytes))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return nil
	}
	end = bytes.TrimRight(end, "\n")
	if len(end) == 0 {
		return nil
	}
	lines := strings.Split(string(end), "\n")
	lines = lines[max(0, len(lines)-maxLastLines):]
	for i, line := range lines {
		lines[i] = printable.EscapeLines(printable.Truncate(line, printable.MaxCharacters))
	}
	return lines
}
