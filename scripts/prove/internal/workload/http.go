package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"

	"example.com/todo/scripts/prove/internal/history"
)

// httpTransport sends requests to one replica over HTTP.
type httpTransport struct {
	base   string
	client *http.Client
}

func (t httpTransport) send(ctx context.Context, r request) response {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := t.newRequest(ctx, r)
	if err != nil {
		return response{result: notSent, status: err.Error()}
	}
	resp, err := t.client.Do(req)
	if err != nil {
		a := response{result: ambiguous, status: describeError(err)}
		if !connected.Load() {
			a.result = notSent
		}
		return a
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{result: ambiguous, status: strconv.Itoa(resp.StatusCode) + ", cut off"}
	}
	return parseResponse(resp.StatusCode, r, body)
}

func (t httpTransport) newRequest(ctx context.Context, r request) (*http.Request, error) {
	method, path, fields := http.MethodPatch, "/tasks/"+strconv.FormatInt(r.id, 10), map[string]any{}
	switch r.operation {
	case history.Create:
		method, path = http.MethodPost, "/tasks"
		fields["title"] = r.title
	case history.Update:
		fields["title"] = r.title
	case history.Complete:
		if r.usePatch {
			fields["done"] = true
		} else {
			path += "/done"
		}
	case history.Reopen:
		fields["done"] = false
	case history.Delete:
		method = http.MethodDelete
	}
	if r.priority != nil {
		fields["priority"] = *r.priority
	}
	var body io.Reader
	if len(fields) > 0 {
		text, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.expected != nil {
		req.Header.Set("If-Match", fmt.Sprintf(`"%d"`, *r.expected))
	}
	return req, nil
}

// parseResponse interprets a complete response.
func parseResponse(status int, r request, body []byte) response {
	a := response{result: ambiguous, status: strconv.Itoa(status)}
	switch {
	case status == http.StatusNoContent:
		a.result = done
	case status == http.StatusOK || status == http.StatusCreated:
		var t struct {
			ID      int64 `json:"id"`
			Version int64 `json:"version"`
			Done    bool  `json:"done"`
		}
		if json.Unmarshal(body, &t) != nil || t.ID < 1 {
			a.status += ", unreadable"
			return a
		}
		a.result, a.id, a.version, a.done = done, t.ID, t.Version, t.Done
	case status == http.StatusTooManyRequests:
		a.result = busy
	case status == http.StatusConflict && r.key != "": // the conflict is about the key, not the task
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		a.result = refused
	}
	return a
}

// describeError names the reason for a missing response.
func describeError(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	default:
		return "connection lost"
	}
}
