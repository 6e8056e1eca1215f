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

// readLists reads the list until ctx ends. A failed read is not recorded.
func (w *Workload) readLists(ctx context.Context, client *http.Client, reader int) {
	random := rand.New(rand.NewPCG(uint64(w.cfg.Seed), uint64(1<<32+reader)))
	ids, last := map[int64]bool{}, int64(0)
	for i := range w.hotTasks {
		if id := w.hotTasks[i].id.Load(); id != 0 {
			ids[id], last = true, max(last, id)
		}
	}
	var reads []history.ListRead
	for retry.Wait(ctx, time.Duration(random.Int64N(2*int64(time.Second)/readsPerSecond))) {
		replica := random.IntN(len(w.endpoints))
		if read, err := readList(ctx, client, w.endpoints[replica].listURL, ids, last); err == nil {
			read.Replica = replica
			reads = append(reads, read)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = append(w.reads, reads...)
}

// readList reads the list once, up to the task with the id last.
func readList(ctx context.Context, client *http.Client, url string, ids map[int64]bool, last int64) (history.ListRead, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return history.ListRead{}, err
	}
	read := history.ListRead{Began: time.Now(), Versions: make(map[int64]int64, len(ids))}
	resp, err := client.Do(req)
	if err != nil {
		return read, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return read, fmt.Errorf("the list: %s", resp.Status)
	}
	read.CacheStatus = resp.Header.Get("Cache-Status")
	err = collectVersions(resp.Body, read.Versions, ids, last)
	_, cut := io.Copy(io.Discard, resp.Body)
	read.Ended = time.Now()
	return read, errors.Join(err, cut)
}

// collectVersions stores the versions of the wanted tasks of a list, which is in the order of
// ids.
func collectVersions(list io.Reader, versions map[int64]int64, wanted map[int64]bool, last int64) error {
	decoder := json.NewDecoder(list)
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		var t struct{ ID, Version int64 }
		if err := decoder.Decode(&t); err != nil {
			return err
		}
		if t.ID > last {
			break
		}
		if wanted[t.ID] {
			versions[t.ID] = t.Version
		}
	}
	return nil
}
