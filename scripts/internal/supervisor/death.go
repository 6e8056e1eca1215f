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
	tailLines = 20
	tailBytes = 64 << 10
)

// Death is the end of a part that nobody asked to end.
type Death struct {
	Part string
	How  error    // nil: it ended with exit code 0
	Log  string   // path of its log
	Tail []string // the log's last lines, bounded and printable
}

// Error names the part, how it ended, and the last lines of its log.
func (d *Death) Error() string {
	how := "exit status 0"
	if d.How != nil {
		how = d.How.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s ended by itself (%s)", d.Part, how)
	if len(d.Tail) == 0 {
		fmt.Fprintf(&b, " and wrote nothing to %s", d.Log)
		return b.String()
	}
	fmt.Fprintf(&b, "; the last %d lines of %s:", len(d.Tail), d.Log)
	for _, line := range d.Tail {
		fmt.Fprintf(&b, "\n    %s", line)
	}
	return b.String()
}

func (s *Supervisor) death(p *slot, process *proc.Process) *Death {
	return &Death{Part: p.Name(), How: process.Err(), Log: s.logPath(p), Tail: tail(s.logPath(p))}
}

// tail returns the last lines of a file; of one that cannot be read, none.
func tail(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, 2)
	if err != nil {
		return nil
	}
	end := make([]byte, min(size, tailBytes))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return nil
	}
	end = bytes.TrimRight(end, "\n")
	if len(end) == 0 {
		return nil
	}
	lines := strings.Split(string(end), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	for i, line := range lines {
		lines[i] = printable.EscapeLines(printable.Truncate(line, printable.MaxCharacters))
	}
	return lines
}
