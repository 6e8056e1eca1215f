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
	// patience is how long a line waits for a reader that takes nothing.
	patience = time.Second
	// pieceSize is as much as a pipe that can be written takes without a wait: PIPE_BUF.
	pieceSize = 4096
)

var errStalled = errors.New("the reader of the log takes nothing")

// outlet writes lines to a file, and drops lines while the file's reader takes nothing,
// as a log collector that hangs does. Otherwise each request would wait for that reader
// with its line, and so would the stop of the process.
type outlet struct {
	*os.File
	lost atomic.Int64 // lines that were dropped and not told of

	mu      sync.Mutex
	stalled bool   // the last wait was in vain
	rest    []byte // of a line that has begun
}

// Write writes a line, or drops all of it. It waits for patience at most, and not at all
// after a wait that was in vain.
func (o *outlet) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest, err := o.push(o.rest)
	o.rest = rest
	if err == nil {
		rest, err = o.push(line)
	}
	switch {
	case !errors.Is(err, errStalled):
		o.rest = nil
		return len(line), err
	case len(o.rest) > 0 || len(rest) == len(line):
		o.lost.Add(1)
		return 0, err
	}
	o.rest = slices.Clone(rest)
	return len(line), nil
}

// push writes text and returns what of it the reader has not taken.
func (o *outlet) push(text []byte) (rest []byte, err error) {
	for len(text) > 0 {
		wait := patience
		if o.stalled {
			wait = 0
		}
		if o.stalled = !writable(o.File, wait); o.stalled {
			return text, errStalled
		}
		n, err := o.File.Write(text[:min(len(text), pieceSize)])
		if err != nil {
			return nil, err
		}
		text = text[n:]
	}
	return nil, nil
}
