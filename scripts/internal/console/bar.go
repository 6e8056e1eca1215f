package console

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	barWidth       = 30
	redrawInterval = 100 * time.Millisecond
	printInterval  = 5 * time.Second
)

// Bar is a progress bar: an io.Writer that counts bytes, safe for concurrent use. On a terminal it redraws
// one line; elsewhere it prints a line every few seconds.
type Bar struct {
	console *Console
	what    string
	total   int64

	mu   sync.Mutex
	done int64
	last time.Time
}

// Bar starts a progress bar for total bytes of what.
func (c *Console) Bar(what string, total int64) *Bar {
	return &Bar{console: c, what: what, total: total, last: time.Now()}
}

// Write counts p.
func (b *Bar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += int64(len(p))
	every := printInterval
	if b.console.animated {
		every = redrawInterval
	}
	if now := time.Now(); now.Sub(b.last) >= every {
		b.last = now
		b.show()
	}
	return len(p), nil
}

func (b *Bar) show() {
	if !b.console.animated {
		b.console.Progress("%s", b.render())
		return
	}
	b.console.setBar(b.render())
}

// End removes the bar.
func (b *Bar) End() {
	if b.console.animated {
		b.console.setBar("")
	}
}

func (c *Console) setBar(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eraseBar()
	c.bar = text
	c.drawBar()
}

func (b *Bar) render() string {
	full := int(min(b.done, b.total) * barWidth / max(b.total, 1))
	return fmt.Sprintf("%s [%s%s] %s of %s", b.what, strings.Repeat("#", full),
		strings.Repeat(".", barWidth-full), megabytes(b.done), megabytes(b.total))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
