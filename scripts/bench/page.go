package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/browser"
)

// The page's limits on two cores.
const (
	maxShown         = 1000 // ms from the request for a change to its paint, p99
	maxShownCrowded  = 2000 // the same with crowd other watchers
	maxFirstPaint    = 500  // ms to the first contentful paint of firstPaintTasks, median
	maxInteraction   = 100  // ms from a click on a check box to its paint, p95
	maxFrame         = 50   // ms of the longest frame while scrolling
	maxPageKilobytes = 60   // of document and assets, compressed
	maxHeapGrowth    = 1.0  // MB over liveChanges
	maxNodeGrowth    = 1000 // DOM nodes over liveChanges
)

// What is measured.
const (
	shownChanges    = 100
	shownTasks      = 100
	meanPause       = 100 * time.Millisecond // between two changes at random times
	crowd           = 5000
	firstPaintTasks = 1000
	firstPaints     = 20
	clicks          = 100
	scrolledTasks   = 10_000
	liveChanges     = 10_000
	warmUpChanges   = 1000
	changeTimeout   = 2 * time.Minute // for a change to be shown
)

// pageBench measures the page in a Chromium.
type pageBench struct {
	*bench
	chromium *browser.Browser
	missed   []error
}

// measurePage measures the page and prints each figure beside its limit. A missed limit is an error.
func (b *bench) measurePage(ctx context.Context) error {
	chromium, err := browser.Launch(ctx)
	if err != nil {
		return err
	}
	defer chromium.Close()
	p := &pageBench{bench: b, chromium: chromium}
	for _, measure := range []func(context.Context) error{
		p.measureSize, p.measureShown, p.measureFirstPaint, p.measureInteraction, p.measureScrolling, p.measureMemory,
	} {
		if err := measure(ctx); err != nil {
			return err
		}
		b.stopServices(ctx)
	}
	return errors.Join(p.missed...)
}

// print prints a figure beside its limit, and notes a missed one.
func (p *pageBench) print(what string, figure, limit float64, unit string) {
	fmt.Printf("%-64s %9.1f %9.1f %s\n", what, figure, limit, unit)
	if figure > limit {
		p.missed = append(p.missed, fmt.Errorf("%s: %.1f %s misses the limit, %g", what, figure, unit, limit))
	}
}

// open opens the page of a service with a number of tasks.
func (p *pageBench) open(ctx context.Context, name string, tasks int) (*todoService, *browser.Tab, func(), error) {
	todo, err := p.startTodo(ctx, name, tasks, "WATCH_MAX_PER_CLIENT=10000")
	if err != nil {
		return nil, nil, nil, err
	}
	tab, closeTab, err := p.openTab(ctx, todo)
	return todo, tab, closeTab, err
}

func (p *pageBench) openTab(ctx context.Context, todo *todoService) (*browser.Tab, func(), error) {
	profile, err := p.chromium.NewProfile(ctx)
	if err != nil {
		return nil, nil, err
	}
	closeProfile := func() { _ = profile.Close() }
	tab, err := profile.OpenTab()
	if err == nil {
		err = errors.Join(tab.SetViewport(1280, 800), tab.Navigate(todo.http))
	}
	if err == nil {
		err = awaitPage(ctx, tab, `document.querySelector('[data-connection=live]') !== null`)
	}
	if err != nil {
		closeProfile()
		return nil, nil, err
	}
	return tab, closeProfile, nil
}

// awaitPage waits until a JavaScript expression is true.
func awaitPage(ctx context.Context, tab *browser.Tab, expression string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for retry.Wait(ctx, 10*pollInterval) {
		if met, err := browser.Evaluate[bool](tab, expression); err != nil || met {
			return err
		}
	}
	return fmt.Errorf("the page: %w before this was true: %s", ctx.Err(), expression)
}

// observeTitles has the page note when it has painted each title, in ms since 1970.
const observeTitles = `(() => {
	window.shown = {};
	new MutationObserver(() => {
		const titles = [...document.querySelectorAll('#tasks .title')].map((e) => e.textContent).filter((t) => t.startsWith('Change ') && !(t in window.shown));
		if (titles.length === 0) return;
		for (const title of titles) window.shown[title] = 0;
		requestAnimationFrame(() => setTimeout(() => {
			const now = performance.timeOrigin + performance.now();
			for (const title of titles) window.shown[title] = now;
		}));
	}).observe(document.querySelector('#tasks'), { subtree: true, childList: true, characterData: true });
	return true;
})()`

// measureShown measures how soon changes by the API are painted, alone and with other watchers.
func (p *pageBench) measureShown(ctx context.Context) error {
	todo, tab, closeTab, err := p.open(ctx, "shown", shownTasks)
	if err != nil {
		return err
	}
	defer closeTab()
	if _, err := browser.Evaluate[bool](tab, observeTitles); err != nil {
		return err
	}
	what := fmt.Sprintf("%d changes at random times, from request to paint, p99", shownChanges)
	if err := p.measureChanges(ctx, todo, tab, "alone", what, maxShown); err != nil {
		return err
	}
	leave, err := startWatchers(ctx, todo.grpc, crowd)
	if err != nil {
		return err
	}
	defer leave()
	return p.measureChanges(ctx, todo, tab, "crowded", fmt.Sprintf("the same with %d other watchers", crowd), maxShownCrowded)
}

func (p *pageBench) measureChanges(ctx context.Context, todo *todoService, tab *browser.Tab, round, what string, limit float64) error {
	asked := map[string]time.Time{}
	for i := range shownChanges {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(rand.ExpFloat64() * float64(meanPause))):
		}
		title := fmt.Sprintf("Change %s %d", round, i)
		asked[title] = time.Now()
		if err := changeTitle(ctx, todo, 1+rand.IntN(shownTasks), title); err != nil {
			return err
		}
		// The next change of the same task must not hide this one.
		if err := awaitPage(ctx, tab, fmt.Sprintf("window.shown[%q] > 0", title)); err != nil {
			return err
		}
	}
	shown, err := browser.Evaluate[map[string]float64](tab, "window.shown")
	if err != nil {
		return err
	}
	var delays []float64
	for title, begun := range asked {
		delay := shown[title] - float64(begun.UnixMicro())/1000
		if delay <= 0 {
			return fmt.Errorf("%q was painted %.1f ms before the request for it: the browser's clock is another one", title, -delay)
		}
		delays = append(delays, delay)
	}
	p.print(what, quantile(delays, 0.99), limit, "ms")
	return nil
}

func changeTitle(ctx context.Context, todo *todoService, id int, title string) error {
	_, _, err := request(ctx, http.MethodPatch, fmt.Sprintf("%s/tasks/%d", todo.http, id), fmt.Sprintf(`{"title":%q}`, title))
	return err
}

// measureFirstPaint loads the page in new profiles, whose caches are empty.
func (p *pageBench) measureFirstPaint(ctx context.Context) error {
	todo, err := p.startTodo(ctx, "paint", firstPaintTasks)
	if err != nil {
		return err
	}
	var paints []float64
	for range firstPaints {
		tab, closeTab, err := p.openTab(ctx, todo)
		if err != nil {
			return err
		}
		at, err := browser.Evaluate[float64](tab, "performance.getEntriesByName('first-contentful-paint')[0].startTime")
		closeTab()
		if err != nil {
			return err
		}
		paints = append(paints, at)
	}
	what := fmt.Sprintf("first contentful paint of %d tasks, median of %d (p95: %.0f ms)", firstPaintTasks, firstPaints, quantile(paints, 0.95))
	p.print(what, quantile(paints, 0.5), maxFirstPaint, "ms")
	return nil
}

// observeClicks has the page note the time from each click on a check box to the paint of its new state, in ms.
const observeClicks = `(() => {
	window.painted = [];
	addEventListener('click', (event) => {
		const check = event.target.closest('.check');
		const observer = new MutationObserver(() => {
			observer.disconnect();
			requestAnimationFrame(() => setTimeout(() => window.painted.push(performance.now() - event.timeStamp)));
		});
		observer.observe(check, { attributeFilter: ['aria-checked'] });
	}, true);
	return true;
})()`

func (p *pageBench) measureInteraction(ctx context.Context) error {
	_, tab, closeTab, err := p.open(ctx, "interaction", firstPaintTasks)
	if err != nil {
		return err
	}
	defer closeTab()
	if _, err := browser.Evaluate[bool](tab, observeClicks); err != nil {
		return err
	}
	for i := range clicks {
		check := tab.Selector(fmt.Sprintf("li[data-id='%d'] .check", i+1))
		if err := check.Click(); err != nil {
			return err
		}
		if err := awaitPage(ctx, tab, fmt.Sprintf("window.painted.length === %d", i+1)); err != nil {
			return err
		}
	}
	painted, err := browser.Evaluate[[]float64](tab, "window.painted")
	if err != nil {
		return err
	}
	p.print(fmt.Sprintf("click on a check box to its paint, among %d tasks, p95 of %d", firstPaintTasks, clicks), quantile(painted, 0.95), maxInteraction, "ms")
	return nil
}

// observeFrames has the page note the times between two frames, in ms.
const observeFrames = `(() => {
	window.pauses = [];
	const observe = (last) => requestAnimationFrame((now) => { window.pauses.push(now - last); observe(now); });
	requestAnimationFrame(observe);
	return true;
})()`

func (p *pageBench) measureScrolling(ctx context.Context) error {
	_, tab, closeTab, err := p.open(ctx, "scroll", scrolledTasks)
	if err != nil {
		return err
	}
	defer closeTab()
	loaded := fmt.Sprintf("(scrollTo(0, document.body.scrollHeight), document.querySelectorAll('#tasks li').length === %d)", scrolledTasks)
	if err := awaitPage(ctx, tab, loaded); err != nil {
		return err
	}
	if _, err := browser.Evaluate[bool](tab, "(scrollTo(0, 0), true)"); err != nil {
		return err
	}
	if err := awaitPage(ctx, tab, "document.querySelector('#tasks').ariaBusy !== 'true'"); err != nil {
		return err
	}
	if _, err := browser.Evaluate[bool](tab, observeFrames); err != nil {
		return err
	}
	height, err := browser.Evaluate[float64](tab, "document.body.scrollHeight")
	if err != nil {
		return err
	}
	const steps, speed = 10, 20_000
	for range steps {
		if err := tab.Scroll(height/steps, speed); err != nil {
			return err
		}
	}
	pauses, err := browser.Evaluate[[]float64](tab, "window.pauses")
	if err != nil {
		return err
	}
	reached, err := browser.Evaluate[float64](tab, "scrollY + innerHeight")
	if err != nil {
		return err
	}
	if reached < height/2 {
		return fmt.Errorf("the page has scrolled to %.0f of %.0f px", reached, height)
	}
	what := fmt.Sprintf("longest of %d frames while %d tasks scroll (p99: %.0f ms)", len(pauses), scrolledTasks, quantile(pauses, 0.99))
	// A page's clock is exact to 0.1 ms: three frames of a display with 60 Hz read as 49.9 to 50.1 ms.
	p.print(what, math.Round(slices.Max(pauses)), maxFrame, "ms")
	return nil
}

// measureMemory compares the memory before and after many live changes.
func (p *pageBench) measureMemory(ctx context.Context) error {
	todo, tab, closeTab, err := p.open(ctx, "memory", shownTasks)
	if err != nil {
		return err
	}
	defer closeTab()
	if err := p.makeChanges(ctx, todo, tab, "warm", warmUpChanges); err != nil {
		return err
	}
	heapBefore, nodesBefore, err := tab.Memory()
	if err != nil {
		return err
	}
	if err := p.makeChanges(ctx, todo, tab, "live", liveChanges); err != nil {
		return err
	}
	heapAfter, nodesAfter, err := tab.Memory()
	if err != nil {
		return err
	}
	p.print(fmt.Sprintf("growth of the heap over %d live changes, from %.1f MB", liveChanges, heapBefore/1e6), (heapAfter-heapBefore)/1e6, maxHeapGrowth, "MB")
	p.print(fmt.Sprintf("growth of the document over the same, from %d nodes", nodesBefore), float64(nodesAfter-nodesBefore), maxNodeGrowth, "nodes")
	return nil
}

// makeChanges changes tasks n times, and waits until the page shows the last change.
func (p *pageBench) makeChanges(ctx context.Context, todo *todoService, tab *browser.Tab, round string, n int) error {
	const clients = 8
	group, together := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			for i := client; i < n; i += clients {
				// A client has tasks of its own: no request meets another version.
				if err := changeTitle(together, todo, 2+client+clients*(i%10), fmt.Sprintf("%s %d", round, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	last := "The last change of round " + round
	if err := changeTitle(ctx, todo, 1, last); err != nil {
		return err
	}
	return awaitPage(ctx, tab, fmt.Sprintf("document.querySelector(\"li[data-id='1'] .title\").textContent === %q", last))
}
