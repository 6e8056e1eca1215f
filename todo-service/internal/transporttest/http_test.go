package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	contract "example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

type httpClient struct {
	url    string
	client *http.Client
}

func (c httpClient) create(ctx context.Context, title string, priority int, keys ...string) outcome {
	return c.sendForTask(ctx, "POST", "/tasks", map[string]any{"title": title, "priority": priority}, http.Header{"Idempotency-Key": keys})
}

func (c httpClient) get(ctx context.Context, id int64) outcome {
	return c.sendForTask(ctx, "GET", path(id), nil, nil)
}

func (c httpClient) list(ctx context.Context, onlyDone bool, sort string, limit int) outcome {
	target := fmt.Sprintf("/tasks?limit=%d", limit)
	if onlyDone {
		target += "&done=true"
	}
	if sort != "" {
		target += "&sort=" + url.QueryEscape(sort)
	}
	var all []task.Task
	return c.sendForOutcome(ctx, "GET", target, nil, nil, &all, func() []task.Task { return all })
}

func (c httpClient) count(ctx context.Context) outcome {
	var counts task.Counts
	got := c.sendForOutcome(ctx, "GET", "/tasks/counts", nil, nil, &counts, func() []task.Task { return nil })
	got.Counts = counts
	return got
}

func (c httpClient) change(ctx context.Context, id int64, change task.Change, expected *int64) outcome {
	patch := map[string]any{}
	if change.Title != nil {
		patch["title"] = *change.Title
	}
	if change.Priority != nil {
		patch["priority"] = *change.Priority
	}
	if change.Done != nil {
		patch["done"] = *change.Done
	}
	return c.sendForTask(ctx, "PATCH", path(id), patch, ifMatch(expected))
}

func (c httpClient) complete(ctx context.Context, id int64, expected *int64) outcome {
	return c.sendForTask(ctx, "PATCH", path(id)+"/done", nil, ifMatch(expected))
}

func (c httpClient) remove(ctx context.Context, id int64, expected *int64) outcome {
	return c.sendForOutcome(ctx, "DELETE", path(id), nil, ifMatch(expected), nil, func() []task.Task { return nil })
}

func (c httpClient) history(ctx context.Context, id, after int64, limit int) outcome {
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	content, header, refusal := c.send(ctx, "GET", path(id)+"/events?"+query.Encode(), nil, nil)
	if refusal != nil {
		return *refusal
	}
	var all []json.RawMessage
	if err := json.Unmarshal(content, &all); err != nil {
		return unexpectedOutcome(err)
	}
	var got outcome
	for _, one := range all {
		e, err := contract.Parse(one)
		if err != nil {
			return unexpectedOutcome(err)
		}
		known, err := eventcodec.FromContract(e)
		if err != nil {
			return unexpectedOutcome(err)
		}
		got.Events = append(got.Events, known)
	}
	next, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Link"), "<"), ">")
	if target, err := url.Parse(next); err == nil && target.Path == path(id)+"/events" {
		got.Next, _ = strconv.ParseInt(target.Query().Get("after"), 10, 64)
	}
	return got
}

func ifMatch(expected *int64) http.Header {
	if expected == nil {
		return nil
	}
	return http.Header{"If-Match": {fmt.Sprintf(`"%d"`, *expected)}}
}

func path(id int64) string { return fmt.Sprintf("/tasks/%d", id) }

// sendForTask sends a request whose response is a task.
func (c httpClient) sendForTask(ctx context.Context, method, target string, body any, header http.Header) outcome {
	var t task.Task
	return c.sendForOutcome(ctx, method, target, body, header, &t, func() []task.Task { return []task.Task{t} })
}

func (c httpClient) sendForOutcome(ctx context.Context, method, target string, body any, header http.Header, into any, tasks func() []task.Task) outcome {
	content, _, refusal := c.send(ctx, method, target, body, header)
	if refusal != nil {
		return *refusal
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			return unexpectedOutcome(err)
		}
	}
	return outcome{Tasks: tasks()}
}

// send returns body and header of a successful response, or the outcome of an error.
func (c httpClient) send(ctx context.Context, method, target string, body any, header http.Header) ([]byte, http.Header, *outcome) {
	request, err := c.newRequest(ctx, method, target, body)
	if err != nil {
		return nil, nil, new(unexpectedOutcome(err))
	}
	maps.Copy(request.Header, header)
	response, err := c.client.Do(request)
	if err != nil {
		return nil, nil, new(unexpectedOutcome(err))
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, new(unexpectedOutcome(err))
	}
	if response.StatusCode >= 300 {
		return nil, nil, new(c.problemOutcome(response.StatusCode, content))
	}
	return content, response.Header, nil
}

func (c httpClient) newRequest(ctx context.Context, method, target string, body any) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, c.url+target, http.NoBody)
	}
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+target, bytes.NewReader(content))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

func (c httpClient) problemOutcome(status int, content []byte) outcome {
	var problem struct {
		Errors []struct{ Name string }
	}
	if err := json.Unmarshal(content, &problem); err != nil {
		return unexpectedOutcome(err)
	}
	kind, ok := map[int]string{
		http.StatusUnprocessableEntity: invalid,
		http.StatusNotFound:            notFound,
		http.StatusPreconditionFailed:  preconditionFailed,
		http.StatusTooManyRequests:     rateLimited,
	}[status]
	if !ok {
		return unexpectedOutcome(string(content))
	}
	var fields []string
	for _, field := range problem.Errors {
		fields = append(fields, field.Name)
	}
	return refusal(kind, fields...)
}
