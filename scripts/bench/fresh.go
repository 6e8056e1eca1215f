package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	freshWrites  = 20    // a second, on one connection
	freshReads   = 1_000 // a second, over all readers
	freshReaders = 10    // each on a connection of its own
)

// fresh measures the share of cache hits while tasks are created at a steady rate. The best possible share
// has one miss for each write.
func (b *httpBench) fresh(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	todo, err := b.newInstance(ctx, "fresh", 100)
	if err != nil {
		return err
	}
	best := 1 - float64(freshWrites)/freshReads
	return b.compareRates(ctx, fmt.Sprintf("hits at %d writes/s, %d reads/s (a miss each write)", freshWrites, freshReads), 0.975,
		func(ctx context.Context) (float64, error) { return b.hitRatio(ctx, "http://"+todo.http+"/tasks") },
		func(context.Context) (float64, error) { return best, nil })
}

// hitRatio writes and reads for one measurement and returns the share of hits.
func (b *httpBench) hitRatio(ctx context.Context, url string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.duration)
	defer cancel()
	var reads, hits atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	// The clients of a kind share one ticker: tickers of their own would make them send at the same moment.
	paced := func(clients, perSecond int, send func(client *http.Client) error) {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		for range clients {
			all.Go(func() {
				defer tick.Stop()
				client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
				defer client.CloseIdleConnections()
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
					}
					if err := send(client); err != nil && ctx.Err() == nil {
						failed.Store(&err)
					}
				}
			})
		}
	}
	paced(1, freshWrites, func(client *http.Client) error {
		_, err := request(ctx, client, http.MethodPost, url, `{"title":"Learn Go","priority":1}`)
		return err
	})
	paced(freshReaders, freshReads, func(client *http.Client) error {
		cache, err := request(ctx, client, http.MethodGet, url, "")
		if err != nil {
			return err
		}
		reads.Add(1)
		if strings.HasSuffix(cache, "; hit") {
			hits.Add(1)
		}
		return nil
	})
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	if got := float64(reads.Load()) / b.duration.Seconds(); got < 0.9*freshReads {
		return 0, fmt.Errorf("the load generator reached only %.0f reads/s", got)
	}
	return float64(hits.Load()) / float64(reads.Load()), nil
}

// request returns the Cache-Status of the response.
func request(ctx context.Context, client *http.Client, method, url, body string) (cache string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return resp.Header.Get("Cache-Status"), nil
}
