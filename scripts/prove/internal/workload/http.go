package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc/status"

	"example.com/todo/scripts/prove/internal/history"
)

// httpTransport sends requests to one replica over HTTP.
type httpTransport struct {
	addr   string
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
		a := response{result: ambiguous, status: status.FromContextError(err).Code().String()}
		if !connected.Load() {
			a.result = notSent
		}
		return a
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{
			result: ambiguous, status: strconv.Itoa(resp.StatusCode) + ", cut off", isServerError: isServerError(resp.StatusCode),
		}
	}
	return parseResponse(resp.StatusCode, r, body)
}

func (t httpTransport) newRequest(ctx context.Context, r request) (*http.Request, error) {
	method, path := http.MethodPatch, "/tasks/"+strconv.FormatInt(r.id, 10)
	switch {
	case r.operation == history.Create:
		method, path = http.MethodPost, "/tasks"
	case r.operation == history.Delete:
		method = http.MethodDelete
	case r.fields == fields{}:
		path += "/done"
	}
	var body bytes.Buffer
	if r.fields != (fields{}) {
		if err := json.NewEncoder(&body).Encode(r.fields); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.addr+path, &body)
	if err != nil {
		return nil, err
	}
	setToken(req, r.token)
	if body.Len() > 0 {
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
	a := response{result: ambiguous, status: strconv.Itoa(status), isServerError: isServerError(status)}
	switch {
	case status == http.StatusNoContent:
		a.result = done
	case status == http.StatusOK || status == http.StatusCreated:
		a.result = done
		if json.Unmarshal(body, &a.task) != nil || a.task.ID < 1 {
			return response{result: ambiguous, status: a.status + ", unreadable"}
		}
	case isSignedOut(a.status), status == http.StatusServiceUnavailable && bytes.Contains(body, []byte(uncheckedSession)):
		a.result = notAdmitted
	case status == http.StatusTooManyRequests:
		a.result = busy
	case status == http.StatusConflict && r.key != "": // the conflict is about the key, not the task
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout:
		a.result = refused
	}
	return a
}

func setToken(req *http.Request, token string) {
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

func isServerError(status int) bool { return status >= http.StatusInternalServerError }
