package logging

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stallTimeout is how long a line waits for a reader that takes nothing.
	stallTimeout = time.Second
	// maxPiece is as much as a pipe that can be written takes without a wait: PIPE_BUF.
	maxPiece = 4096
)

var errReaderStalled = errors.New("the reader of the log takes nothing")

// droppingWriter writes lines to a file, and drops lines while the file's reader takes nothing,
// as a log collector that hangs does. Otherwise each request would wait for that reader
// with its line, and so would the stop of the process.
type droppingWriter struct {
	*os.File
	dropped atomic.Int64 // lines that were dropped and not told of

	mu          sync.Mutex
	stalled     bool   // the last wait was in vain
	partialLine []byte // of a line that has begun
}

// Write writes a line, or drops all of it. It waits for patience at most, and not at all
// after a wait that was in vain.
func (o *droppingWriter) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest, err := o.writePieces(o.partialLine)
	o.partialLine = rest
	if err == nil {
		rest, err = o.writePieces(line)
	}
	switch {
	case !errors.Is(err, errReaderStalled):
		o.partialLine = nil
		return len(line), err
	case len(o.partialLine) > 0 || len(rest) == len(line):
		o.dropped.Add(1)
		return 0, err
	}
	o.partialLine = slices.Clone(rest)
	return len(line), nil
}

// writePieces writes text and returns what of it the reader has not taken.
func (o *droppingWriter) writePieces(text []byte) (rest []byte, err error) {
	for len(text) > 0 {
		wait := stallTimeout
		if o.stalled {
			wait = 0
		}
		if o.stalled = !waitWritable(o.File, wait); o.stalled {
			return text, errReaderStalled
		}
		n, err := o.File.Write(text[:min(len(text), maxPiece)])
		if err != nil {
			return nil, err
		}
		text = text[n:]
	}
	return nil, nil
}
