package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Tab is a tab of a profile.
type Tab struct {
	ctx     context.Context
	cancel  context.CancelFunc
	profile *Profile
	plain   bool // documents are loaded without their scripts

	requests requests
}

// commandTimeout bounds one command: a page that hangs must not hang the test.
const commandTimeout = time.Minute

// runOn runs an action in a tab.
func runOn[T any](t *Tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(t.ctx, commandTimeout, errNoResponse)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	return value, explain(ctx, err)
}

// callOn runs a command of the protocol in a tab.
func callOn[P, R any](t *Tab, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeoutCause(t.ctx, commandTimeout, errNoResponse)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	return result, explain(ctx, err)
}

var errNoResponse = fmt.Errorf("the page did not respond within %v", commandTimeout)

func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	return err
}

// Close closes the tab as a person does: the page may do its last work.
func (t *Tab) Close() { t.cancel() }

// Hide opens another tab in front of the tab, in its window, which must be the profile's last one. The page then sees
// that it is hidden. show closes the other tab.
func (t *Tab) Hide() (show func() error, err error) {
	ctx, cancel := chromedp.NewContext(t.profile.ctx, chromedp.WithExistingBrowserContext(t.profile.id), chromedp.WithNewWindow(false))
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("true")); err != nil {
		cancel()
		return nil, fmt.Errorf("hide a tab: %w", err)
	}
	return func() error {
		cancel()
		_, err := callOn(t, page.BringToFront, cdp.Empty{})
		return err
	}, nil
}

// Navigate opens an address and returns when the document has loaded. The page may still work.
func (t *Tab) Navigate(url string) error {
	if _, err := runOn(t, chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("navigate to %s: %w", url, err)
	}
	return nil
}

// Reload loads the document again.
func (t *Tab) Reload() error {
	_, err := runOn(t, chromedp.Reload())
	return err
}

// Evaluate returns the value of a JavaScript expression, which may be a promise, in the page. The page's
// Content-Security-Policy does not apply to it.
func Evaluate[T any](t *Tab, expression string) (T, error) {
	value, err := runOn(t, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return value, fmt.Errorf("evaluate %.80q: %w", expression, err)
	}
	return value, nil
}

// Screenshot writes what the tab shows as a PNG and creates the file's folder.
func (t *Tab) Screenshot(path string) error {
	image, err := runOn(t, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("screenshot %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o644)
}

// SetViewport sets the size of the window in CSS pixels.
func (t *Tab) SetViewport(width, height int64) error {
	_, err := runOn(t, chromedp.EmulateViewport(width, height))
	return err
}

// SetTouch switches the emulation of a touch screen, with which the page sees no mouse.
func (t *Tab) SetTouch(on bool) error {
	points := int64(1)
	_, err := callOn(t, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: on, MaxTouchPoints: points})
	return err
}

// SetMedia sets media features, such as prefers-color-scheme to dark, and the media type, "" for the screen.
func (t *Tab) SetMedia(kind string, features map[string]string) error {
	params := emulation.SetEmulatedMediaParams{Media: kind}
	for name, value := range features {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: name, Value: value})
	}
	_, err := callOn(t, emulation.SetEmulatedMedia, params)
	return err
}

// DisableScript loads later documents without their scripts.
func (t *Tab) DisableScript() error {
	t.plain = true
	return t.forbidScript(true)
}

func (t *Tab) forbidScript(forbidden bool) error {
	_, err := callOn(t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: forbidden})
	return err
}

// SetOffline has the page see that the machine has no network, or has it again. Requests of workers are not affected.
func (t *Tab) SetOffline(offline bool) error {
	_, err := callOn(t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: offline})
	return err
}
