package logging

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// stallTimeout is the time that a line waits for a reader that does not read.
const stallTimeout = time.Second

var errReaderStalled = errors.New("the reader of the log does not read")

// droppingWriter writes lines to a file, and drops lines while the reader of the file
// stalls, as a log collector that hangs does.
type droppingWriter struct {
	*os.File
	dropped atomic.Int64 // lines not yet reported

	mu      sync.Mutex
	line    []byte        // the one that is being written
	write   func()        // writes line
	written chan struct{} // write has returned
	err     error         // of write
	timeout *time.Timer
	stalled bool // write has not returned within stallTimeout
}

func newDroppingWriter(f *os.File) *droppingWriter {
	w := &droppingWriter{File: f, written: make(chan struct{}, 1), timeout: time.NewTimer(0)}
	w.write = func() {
		_, w.err = f.Write(w.line)
		w.written <- struct{}{}
	}
	return w
}

// Write writes line or drops it as a whole. It blocks for stallTimeout at most, and not
// at all while a line before it is not written.
func (w *droppingWriter) Write(line []byte) (int, error) {
	// Without a bound, each request and the shutdown would wait for the reader of the log.
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stalled {
		select {
		case <-w.written:
			w.stalled = false
		default:
			w.dropped.Add(1)
			return 0, errReaderStalled
		}
	}
	w.line = append(w.line[:0], line...)
	w.timeout.Reset(stallTimeout)
	go w.write()
	select {
	case <-w.written:
		w.timeout.Stop()
		return len(line), w.err
	case <-w.timeout.C:
		w.stalled = true
		return len(line), nil
	}
}
