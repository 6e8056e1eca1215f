package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
)

// Each reader requests the list about readsPerSecond times a second, and gives up after
// readTimeout.
const (
	readsPerSecond = 8
	readTimeout    = 8 * time.Second
)

// readLists reads the list until ctx ends, up to the last hot task. A failed read is not recorded.
func (w *Workload) readLists(ctx context.Context, client *http.Client, reader int, lastHot int64) {
	random := rand.New(rand.NewPCG(uint64(w.cfg.Seed), uint64(1<<32+reader)))
	for retry.Wait(ctx, time.Duration(random.Int64N(2*int64(time.Second)/readsPerSecond))) {
		replica := random.IntN(len(w.endpoints))
		read, status, err := readList(ctx, client, w.endpoints[replica].listURL, lastHot)
		if isServerError(status) {
			w.recordServerError(replica, "GET /tasks", strconv.Itoa(status))
		}
		if err == nil {
			read.Replica = replica
			w.mu.Lock()
			w.reads = append(w.reads, read)
			w.mu.Unlock()
		}
	}
}

// readStats reads the statistics of one replica until ctx ends. It records server errors only.
func (w *Workload) readStats(ctx context.Context, client *http.Client, replica int, url string) {
	for retry.Wait(ctx, time.Second/readsPerSecond) {
		if status := requestStatus(ctx, client, url); isServerError(status) {
			w.recordServerError(replica, "GET /stats", strconv.Itoa(status))
		}
	}
}

// requestStatus returns the status of a response, or 0 without one.
func requestStatus(ctx context.Context, client *http.Client, url string) int {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return resp.StatusCode
}

// readList reads the list once. It stores the versions of the tasks up to last; the list is in
// the order of ids. The status is 0 without a response.
func readList(ctx context.Context, client *http.Client, url string, last int64) (read history.ListRead, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return history.ListRead{}, 0, err
	}
	read = history.ListRead{Began: time.Now(), Versions: map[int64]int64{}}
	resp, err := client.Do(req)
	if err != nil {
		return read, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return read, resp.StatusCode, fmt.Errorf("the list: %s", resp.Status)
	}
	read.CacheStatus = resp.Header.Get("Cache-Status")
	decoder := json.NewDecoder(resp.Body)
	_, err = decoder.Token() // the start of the array
	for err == nil && decoder.More() {
		var t task
		err = decoder.Decode(&t)
		if t.ID > last {
			break
		}
		read.Versions[t.ID] = t.Version
	}
	_, cut := io.Copy(io.Discard, resp.Body)
	read.Ended = time.Now()
	return read, resp.StatusCode, errors.Join(err, cut)
}
