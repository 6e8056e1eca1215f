package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"example.com/todo/platform/printable"
	"example.com/todo/scripts/internal/proc"
)

const (
	maxLastLines = 20
	maxLastBytes = 64 << 10
)

// UnexpectedExit is the end of a part that nobody asked to end.
type UnexpectedExit struct {
	Part      string
	Err       error    // nil: it ended with exit code 0
	Log       string   // path of its log
	LastLines []string // the log's last lines, bounded and printable
}

// Error names the part, how it ended, and the last lines of its log.
func (d *UnexpectedExit) Error() string {
	how := "exit status 0"
	if d.Err != nil {
		how = d.Err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s ended by itself (%s)", d.Part, how)
	if len(d.LastLines) == 0 {
		fmt.Fprintf(&b, " and wrote nothing to %s", d.Log)
		return b.String()
	}
	fmt.Fprintf(&b, "; the last %d lines of %s:", len(d.LastLines), d.Log)
	for _, line := range d.LastLines {
		fmt.Fprintf(&b, "\n    %s", line)
	}
	return b.String()
}

func (s *Supervisor) newExit(p *managedPart, process *proc.Process) *UnexpectedExit {
	return &UnexpectedExit{Part: p.Name(), Err: process.Err(), Log: s.logPath(p), LastLines: lastLines(s.logPath(p))}
}

// lastLines returns the last lines of a file; of one that cannot be read, none.
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
		lines[i] = printable.Lines(printable.Shorten(line, printable.Characters))
	}
	return lines
}
