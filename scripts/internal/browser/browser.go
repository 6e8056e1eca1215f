// Package browser drives Chromium over the DevTools protocol as a person would: it finds elements by role and
// accessible name, and uses mouse, keyboard and touch. It collects what a page does wrong on the way.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// ErrNotInstalled means that there is no Chromium on PATH.
var ErrNotInstalled = errors.New("chromium is not on the PATH: apt-get install chromium")

// programs are the names under which systems install Chromium, the preferred first.
var programs = []string{"chromium", "chromium-browser", "google-chrome"}

// flags keep Chromium from work that nothing here asks for, such as updates, and let it run as root.
var flags = map[string]any{
	"no-sandbox":                 true,
	"disable-gpu":                true,
	"no-first-run":               true,
	"disable-component-update":   true,
	"enable-precise-memory-info": true,
}

// Browser is a running Chromium with an empty profile in a temporary folder.
type Browser struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	profiles map[cdp.BrowserContextID]*Profile
}

// Launch starts Chromium. Its window is not shown. The error is ErrNotInstalled where there is none.
func Launch(ctx context.Context) (*Browser, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(program), chromedp.Env("LANG=en_US.UTF-8", "TZ=UTC"))
	for name, value := range flags {
		options = append(options, chromedp.Flag(name, value))
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	first, cancelFirst := chromedp.NewContext(allocator)
	b := &Browser{ctx: first, profiles: map[cdp.BrowserContextID]*Profile{}, cancel: func() { cancelFirst(); cancelAllocator() }}
	if err := chromedp.ListenBrowser(first, b.handleEvent); err != nil {
		b.cancel()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	discover := target.SetDiscoverTargetsParams{Discover: true}
	if _, err := chromedp.CallBrowser(first, target.SetDiscoverTargets, discover); err != nil {
		b.cancel()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return b, nil
}

func find() (string, error) {
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotInstalled
}

// Close ends Chromium and removes its profile.
func (b *Browser) Close() { b.cancel() }

// handleEvent gives the workers of a profile to it.
func (b *Browser) handleEvent(ev any) {
	created, ok := ev.(*target.EventTargetCreated)
	if !ok || created.TargetInfo.Type != "shared_worker" {
		return
	}
	b.mu.Lock()
	profile := b.profiles[created.TargetInfo.BrowserContextID]
	b.mu.Unlock()
	if profile != nil {
		// A listener must not run commands.
		go profile.attachWorker(created.TargetInfo.TargetID)
	}
}
