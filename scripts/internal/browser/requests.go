package browser

import (
	"sync"

	"github.com/chromedp/cdproto/network"
)

// requests counts the documents and the fetches of a tab, but for event streams. Chromium does not report the end of
// every other request, such as that for the script of a shared worker that runs already.
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
		// A tab without the shared worker has a stream of its own, which has no end.
		stream := ev.Request.Headers["Accept"] == "text/event-stream"
		if ev.Type == network.ResourceTypeDocument || ev.Type == network.ResourceTypeFetch && !stream {
			r.sent++
			r.running[ev.RequestID] = ev.Request.URL
		}
	case *network.EventLoadingFinished:
		delete(r.running, ev.RequestID)
	case *network.EventLoadingFailed:
		delete(r.running, ev.RequestID)
	}
}

// Requests returns how many documents and fetches the tab has requested, and the URLs of those without a whole response.
// It leaves out event streams, and does not see what workers request.
func (t *Tab) Requests() (sent int, running []string) {
	t.requests.mu.Lock()
	defer t.requests.mu.Unlock()
	for _, url := range t.requests.running {
		running = append(running, url)
	}
	return t.requests.sent, running
}
