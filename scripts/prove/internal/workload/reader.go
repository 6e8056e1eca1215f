package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
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
		if read, err := readList(ctx, client, w.endpoints[replica].listURL, lastHot); err == nil {
			read.Replica = replica
			w.mu.Lock()
			w.reads = append(w.reads, read)
			w.mu.Unlock()
		}
	}
}

// readList reads the list once. It stores the versions of the tasks up to last; the list is in
// the order of ids.
func readList(ctx context.Context, client *http.Client, url string, last int64) (history.ListRead, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return history.ListRead{}, err
	}
	read := history.ListRead{Began: time.Now(), Versions: map[int64]int64{}}
	resp, err := client.Do(req)
	if err != nil {
		return read, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return read, fmt.Errorf("the list: %s", resp.Status)
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
	return read, errors.Join(err, cut)
}
