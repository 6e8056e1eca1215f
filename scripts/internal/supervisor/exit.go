package supervisor

import (
	"fmt"
	"io"
	"os"
	"strings"

	"example.com/todo/platform/printable"
)

// How much of a log an UnexpectedExit quotes.
const (
	maxLastLines = 20
	maxLastBytes = 64 << 10
)

// Exit is the end of one process of a part.
type Exit struct {
	Status    string // "exit status 0", "signal: killed", …
	Code      int    // 128 plus the signal's number after a signal
	Requested bool   // by Stop, Kill or Halt
}

// UnexpectedExit is the error of a part that exited without a stop and is not restarted.
type UnexpectedExit struct {
	Part      string
	Status    string
	Log       string   // path of its log
	LastLines []string // of the log, bounded and printable
}

// Error names the part, its exit status and the last lines of its log.
func (e *UnexpectedExit) Error() string {
	text := fmt.Sprintf("%s ended by itself (%s)", e.Part, e.Status)
	if len(e.LastLines) == 0 {
		return text + " and wrote nothing to " + e.Log
	}
	text += fmt.Sprintf("; the last %d lines of %s:", len(e.LastLines), e.Log)
	return strings.Join(append([]string{text}, e.LastLines...), "\n    ")
}

// lastLines returns the last lines of a file, or nil if it cannot be read.
func lastLines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	_, _ = f.Seek(-maxLastBytes, io.SeekEnd) // fails in a shorter file, which is read from its start
	end, err := io.ReadAll(f)
	text := strings.TrimRight(string(end), "\n")
	if err != nil || text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-maxLastLines):]
	for i, line := range lines {
		lines[i] = printable.EscapeLines(printable.Truncate(line, printable.MaxCharacters))
	}
	return lines
}
