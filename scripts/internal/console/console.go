// Package console prints progress and the output of several programs, line by line.
package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"example.com/todo/platform/printable"
)

// Console is a terminal, or two files instead. Its methods are safe for concurrent use.
type Console struct {
	mu       sync.Mutex
	out, err io.Writer
	coloured bool // prefixes on out may have colours
	colours  int  // used so far
}

// New returns a Console that prints the programs' lines to out, and progress to err.
func New(out, err *os.File) *Console {
	_, plain := os.LookupEnv("NO_COLOR")
	return &Console{out: out, err: err, coloured: term.IsTerminal(int(out.Fd())) && !plain}
}

// Plain returns a Console without colours, for tests and files.
func Plain(w io.Writer) *Console { return &Console{out: w, err: w} }

// Progress prints one line of progress.
func (c *Console) Progress(format string, args ...any) {
	line := printable.EscapeLines(fmt.Sprintf("==> "+format+"\n", args...))
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.err, line) // without a terminal there is no place to report the error
}

// Print prints text to out unchanged.
func (c *Console) Print(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.out, text)
}

// LineWriter returns a writer that prints every complete line after name, with invisible characters escaped.
func (c *Console) LineWriter(name string) io.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	prefix := fmt.Sprintf("%-20s │ ", name)
	if c.coloured {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", 36-c.colours%6, prefix)
		c.colours++
	}
	return &lineWriter{console: c, prefix: prefix}
}

type lineWriter struct {
	console *Console
	prefix  string
	partial []byte
}

// maxPartial in bytes: a longer line is printed in pieces.
const maxPartial = 64 << 10

func (l *lineWriter) Write(p []byte) (int, error) {
	l.partial = append(l.partial, p...)
	for {
		end := bytes.IndexByte(l.partial, '\n')
		if end < 0 && len(l.partial) < maxPartial {
			return len(p), nil
		}
		if end < 0 {
			end = len(l.partial) - 1
		}
		l.console.Print(l.prefix + printable.EscapeLines(string(bytes.TrimRight(l.partial[:end+1], "\r\n"))) + "\n")
		l.partial = l.partial[end+1:]
	}
}
