package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// client is an HTTP client of todo-service that keeps the ids of its tasks.
type client struct {
	url  string
	http *http.Client

	mu  sync.Mutex
	ids []int64
}

func newClient(t *testing.T, addr string) *client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{url: "http://" + addr, http: &http.Client{Transport: transport}}
}

// call returns the body of a response with the expected status.
func (c *client) call(ctx context.Context, want int, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, answer)
	}
	return answer, nil
}

func (c *client) create(ctx context.Context, title string) (int64, error) {
	body, err := json.Marshal(map[string]string{"title": title})
	if err != nil {
		return 0, err
	}
	answer, err := c.call(ctx, http.StatusCreated, http.MethodPost, "/tasks", string(body))
	if err != nil {
		return 0, err
	}
	var made struct{ ID int64 }
	if err := json.Unmarshal(answer, &made); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.ids = append(c.ids, made.ID)
	c.mu.Unlock()
	return made.ID, nil
}

func (c *client) complete(ctx context.Context, id int64) error {
	_, err := c.call(ctx, http.StatusOK, http.MethodPatch, fmt.Sprintf("/tasks/%d/done", id), "")
	return err
}

func (c *client) get(ctx context.Context, id int64) error {
	_, err := c.call(ctx, http.StatusOK, http.MethodGet, fmt.Sprintf("/tasks/%d", id), "")
	return err
}

func (c *client) list(ctx context.Context, query url.Values) error {
	_, err := c.call(ctx, http.StatusOK, http.MethodGet, "/tasks?"+query.Encode(), "")
	return err
}

// randomRequest sends a request of a random kind: most read, some write.
func (c *client) randomRequest(ctx context.Context) error {
	id := c.randomTask()
	switch n := rand.IntN(10); {
	case n < 2 || id == 0:
		_, err := c.create(ctx, "Learn Go")
		return err
	case n < 4:
		return c.complete(ctx, id)
	case n < 6:
		return c.list(ctx, url.Values{"limit": {"10"}, "done": {"true"}})
	default:
		return c.get(ctx, id)
	}
}

// randomTask returns the id of an existing task, or 0.
func (c *client) randomTask() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ids) == 0 {
		return 0
	}
	return c.ids[rand.IntN(len(c.ids))]
}

// outcome collects the durations and errors of many requests.
type outcome struct {
	mu     sync.Mutex
	took   []time.Duration
	failed []error
}

// drive sends requests at a fixed rate until ctx ends, however slow the responses are. It returns after the last
// response.
func drive(ctx context.Context, rate int, send func(context.Context) error) *outcome {
	o := &outcome{}
	var asked sync.WaitGroup
	begun, sent := time.Now(), 0
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for ctx.Err() == nil {
		for due := int(time.Since(begun).Seconds() * float64(rate)); sent < due; sent++ {
			asked.Go(func() {
				begun := time.Now()
				err := send(context.WithoutCancel(ctx))
				o.note(time.Since(begun), err)
			})
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	asked.Wait()
	return o
}

func (o *outcome) note(took time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.took = append(o.took, took)
	if err != nil {
		o.failed = append(o.failed, err)
	}
}

// report fails the test if a request failed.
func (o *outcome) report(t *testing.T) {
	t.Helper()
	if len(o.failed) > 0 {
		t.Errorf("%d of %d requests failed, the first: %v", len(o.failed), len(o.took), o.failed[0])
	}
	if len(o.took) == 0 {
		t.Error("nothing was asked")
	}
}
