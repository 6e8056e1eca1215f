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
	// stallTimeout is the time that a line waits for a reader that does not read.
	stallTimeout = time.Second
	// maxPiece is PIPE_BUF in bytes: a write of that size to a writable pipe does not block.
	maxPiece = 4096
)

var errReaderStalled = errors.New("the reader of the log does not read")

// droppingWriter writes lines to a file, and drops lines while the reader of the file
// stalls, as a log collector that hangs does.
type droppingWriter struct {
	*os.File
	dropped atomic.Int64 // lines not yet reported

	mu          sync.Mutex
	stalled     bool   // the last wait timed out
	partialLine []byte // the rest of a line that was written in part
}

// Write writes line or drops it as a whole. It blocks for stallTimeout at most, and not
// at all when the wait before timed out.
func (w *droppingWriter) Write(line []byte) (int, error) {
	// Without a bound, each request and the shutdown would wait for the reader of the log.
	w.mu.Lock()
	defer w.mu.Unlock()
	rest, err := w.writePieces(w.partialLine)
	w.partialLine = rest
	if err == nil {
		rest, err = w.writePieces(line)
	}
	switch {
	case !errors.Is(err, errReaderStalled):
		w.partialLine = nil
		return len(line), err
	case len(w.partialLine) > 0 || len(rest) == len(line):
		w.dropped.Add(1)
		return 0, err
	}
	w.partialLine = slices.Clone(rest)
	return len(line), nil
}

// writePieces writes text and returns the part that was not written when the reader stalls.
func (w *droppingWriter) writePieces(text []byte) (rest []byte, err error) {
	for len(text) > 0 {
		wait := stallTimeout
		if w.stalled {
			wait = 0
		}
		if w.stalled = !waitWritable(w.File, wait); w.stalled {
			return text, errReaderStalled
		}
		n, err := w.File.Write(text[:min(len(text), maxPiece)])
		if err != nil {
			return nil, err
		}
		text = text[n:]
	}
	return nil, nil
}
