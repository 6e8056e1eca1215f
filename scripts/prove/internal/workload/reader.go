package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

// Each reader requests a list about readsPerSecond times a second, and gives up after readTimeout.
// With users it decodes every wholeListEvery-th list to its end, the others up to the last hot task.
const (
	readsPerSecond = 8
	readTimeout    = 8 * time.Second
	wholeListEvery = 4
)

// readLists reads the lists of the users until ctx ends. It records the versions of the hot tasks,
// which are the first, and what else each user was shown. A failed read is not recorded.
func (w *Workload) readLists(ctx context.Context, reader int, lastHot int64) {
	random := rand.New(rand.NewPCG(uint64(w.cfg.Seed), uint64(1<<32+reader)))
	for n := 0; retry.Wait(ctx, time.Duration(random.Int64N(2*int64(time.Second)/readsPerSecond))); n++ {
		replica, user := random.IntN(len(w.endpoints)), w.cfg.Users[random.IntN(len(w.cfg.Users))]
		read := history.ListRead{Began: time.Now(), Replica: replica, User: user.ID(), Versions: map[int64]int64{}}
		resp := w.get(ctx, &w.endpoints[replica], user, "/tasks")
		read.Ended, read.CacheStatus = time.Now(), resp.header.Get("Cache-Status")
		last := lastHot
		if user != nil && n%wholeListEvery == 0 {
			last = math.MaxInt64
		}
		tasks, err := decodeTasks(resp.body, last)
		if resp.status != http.StatusOK || err != nil {
			continue
		}
		for _, t := range tasks {
			if t.ID <= lastHot {
				read.Versions[t.ID] = t.Version
			}
		}
		w.sightings.add(user, "GET /tasks", replica, tasks...)
		w.mu.Lock()
		w.reads = append(w.reads, read)
		w.mu.Unlock()
	}
}

// decodeTasks decodes a list in the order of ids, up to the task last.
func decodeTasks(body []byte, last int64) (tasks []task, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	_, err = decoder.Token() // the start of the array
	for err == nil && decoder.More() {
		var t task
		if err = decoder.Decode(&t); t.ID > last {
			break
		}
		tasks = append(tasks, t)
	}
	return tasks, err
}

// readStats reads the statistics of the users at one replica until ctx ends. It records server
// errors only.
func (w *Workload) readStats(ctx context.Context, client *http.Client, replica int, addr string) {
	stats := endpoint{replica: replica, http: httpTransport{addr, client}}
	for n := 0; retry.Wait(ctx, time.Second/readsPerSecond); n++ {
		w.get(ctx, &stats, w.cfg.Users[n%len(w.cfg.Users)], "/stats")
	}
}

// getResponse is a complete response to a GET, or zero.
type getResponse struct {
	status int
	header http.Header
	body   []byte
}

// get requests a path with the session of a user. It records a server error.
func (w *Workload) get(ctx context.Context, e *endpoint, user *signin.User, path string) getResponse {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	signInAt := &w.endpoints[e.replica%len(w.endpoints)]
	token, err := user.Token(ctx, signInAt.http.addr)
	if err != nil {
		return getResponse{}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.http.addr+path, http.NoBody)
	if err != nil {
		return getResponse{}
	}
	setToken(req, token)
	resp, err := e.http.client.Do(req)
	if err != nil {
		return getResponse{}
	}
	defer resp.Body.Close()
	status := strconv.Itoa(resp.StatusCode)
	switch {
	case isSignedOut(status):
		user.Forget(token)
	case isServerError(resp.StatusCode):
		route, _, _ := strings.Cut(path, "?")
		w.recordServerError(e.replica, "GET "+route, status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return getResponse{}
	}
	return getResponse{resp.StatusCode, resp.Header, body}
}
