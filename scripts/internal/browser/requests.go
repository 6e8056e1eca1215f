package browser

import (
	"sync"

	"github.com/chromedp/cdproto/network"
)

// requests counts the requests of a tab. It does not see those of workers.
type requests struct {
	mu      sync.Mutex
	sent    int
	running map[network.RequestID]string // the URLs of requests without a whole response
}

// record takes note of the start and the end of requests.
func (r *requests) record(ev any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		r.sent++
		r.running[ev.RequestID] = ev.Request.URL
	case *network.EventLoadingFinished:
		delete(r.running, ev.RequestID)
	case *network.EventLoadingFailed:
		delete(r.running, ev.RequestID)
	}
}

// Requests returns how many requests the tab has sent, those of workers excepted, and the URLs of those that run.
func (t *Tab) Requests() (sent int, running []string) {
	t.requests.mu.Lock()
	defer t.requests.mu.Unlock()
	for _, url := range t.requests.running {
		running = append(running, url)
	}
	return t.requests.sent, running
}
