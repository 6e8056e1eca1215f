package browser

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// closeTimeout bounds the commands that remove a profile; a busy machine takes seconds for them.
const closeTimeout = 20 * time.Second

// Profile is the browser of one person: its tabs share cookies, storage, caches and shared workers, and nothing
// with other profiles.
type Profile struct {
	browser *Browser
	id      cdp.BrowserContextID
	ctx     context.Context
	cancel  context.CancelFunc

	mu       sync.Mutex
	problems []Problem
}

// NewProfile creates a profile that ends with ctx at the latest.
func (b *Browser) NewProfile(ctx context.Context) (*Profile, error) {
	created, err := chromedp.CallBrowser(b.ctx, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		return nil, fmt.Errorf("create a profile: %w", err)
	}
	p := &Profile{browser: b, id: created.BrowserContextID}
	p.ctx, p.cancel = context.WithCancel(b.ctx)
	context.AfterFunc(ctx, p.cancel)
	b.mu.Lock()
	b.profiles[p.id] = p
	b.mu.Unlock()
	return p, nil
}

// Close closes the profile's tabs and removes its data.
func (p *Profile) Close() error {
	p.cancel()
	p.browser.mu.Lock()
	delete(p.browser.profiles, p.id)
	p.browser.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.browser.ctx, closeTimeout)
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, target.DisposeBrowserContext, target.DisposeBrowserContextParams{BrowserContextID: p.id})
	if err != nil {
		return fmt.Errorf("remove a profile: %w", err)
	}
	return nil
}

// OpenTab opens a blank tab in a window of its own, so that it is visible beside others.
func (p *Profile) OpenTab() (*Tab, error) {
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithExistingBrowserContext(p.id), chromedp.WithListener(p.record))
	t := &Tab{ctx: ctx, cancel: cancel, profile: p, requests: requests{running: map[network.RequestID]string{}}}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		cancel()
		return nil, fmt.Errorf("open a tab: %w", err)
	}
	// A dialog would hold every later command. Leaving a page never needs an answer.
	err := chromedp.Listen(ctx, func(ev any) {
		t.requests.record(ev)
		if dialog, ok := ev.(*page.EventJavascriptDialogOpening); ok {
			p.add(Problem{Kind: ProblemDialog, Text: dialog.Message})
			go func() {
				_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			}()
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return t, nil
}

// attachWorker collects the problems of a shared worker. One that has ended meanwhile had none that can be read.
func (p *Profile) attachWorker(id target.ID) {
	restarted := make(chan struct{}, 1)
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(id), chromedp.WithListener(func(ev any) {
		switch ev.(type) {
		case *inspector.EventTargetCrashed: // Chromium reports the end of a worker in this way
		case *inspector.EventTargetReloadedAfterCrash:
			select {
			case restarted <- struct{}{}:
			default:
			}
		default:
			p.record(ev)
		}
	}), chromedp.WithDetachOnCancel())
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("true")); err != nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-restarted:
			// Chromium pauses the next worker of the same script, as after a reload of the page, for the debugger.
			_, _ = chromedp.Call(ctx, runtime.RunIfWaitingForDebugger, cdp.Empty{})
		}
	}
}
