package supervisor

import (
	"io"
	"os"

	"example.com/todo/scripts/internal/console"
)

// lossyLog writes the output of a part to the part's log. A write that fails, on a full disk for
// instance, is lost and is not the part's failure: the pipe from which the output is copied stays open.
type lossyLog struct {
	file    *os.File
	part    string
	console *console.Console
	failing bool
}

func (l *lossyLog) Write(p []byte) (int, error) {
	_, err := l.file.Write(p)
	if err != nil && !l.failing {
		l.console.Progress("%s: its log loses what it prints, the part goes on: %v", l.part, err)
	}
	l.failing = err != nil
	return len(p), nil
}

var _ io.Writer = (*lossyLog)(nil)
