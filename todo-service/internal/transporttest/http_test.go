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
	return c.one(ctx, "POST", "/tasks", map[string]any{"title": title, "priority": priority}, http.Header{"Idempotency-Key": keys})
}

func (c httpClient) get(ctx context.Context, id int64) outcome {
	return c.one(ctx, "GET", path(id), nil, nil)
}

func (c httpClient) list(ctx context.Context, onlyDone bool, limit int) outcome {
	target := fmt.Sprintf("/tasks?limit=%d", limit)
	if onlyDone {
		target += "&done=true"
	}
	var all []task.Task
	return c.do(ctx, "GET", target, nil, nil, &all, func() []task.Task { return all })
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
	return c.one(ctx, "PATCH", path(id), patch, ifMatch(expected))
}

func (c httpClient) complete(ctx context.Context, id int64, expected *int64) outcome {
	return c.one(ctx, "PATCH", path(id)+"/done", nil, ifMatch(expected))
}

func (c httpClient) remove(ctx context.Context, id int64, expected *int64) outcome {
	return c.do(ctx, "DELETE", path(id), nil, ifMatch(expected), nil, func() []task.Task { return nil })
}

func (c httpClient) history(ctx context.Context, id int64, page task.Page) outcome {
	query := url.Values{"after": {strconv.FormatInt(page.After, 10)}}
	if page.Limit != 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	answer, header, refusal := c.answer(ctx, "GET", path(id)+"/events?"+query.Encode(), nil, nil)
	if refusal != nil {
		return *refusal
	}
	var all []json.RawMessage
	if err := json.Unmarshal(answer, &all); err != nil {
		return unknown(err)
	}
	var got outcome
	for _, one := range all {
		e, err := contract.Parse(one)
		if err != nil {
			return unknown(err)
		}
		known, err := eventcodec.FromContract(e)
		if err != nil {
			return unknown(err)
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

// one makes a request that is answered with a task.
func (c httpClient) one(ctx context.Context, method, target string, body any, header http.Header) outcome {
	var t task.Task
	return c.do(ctx, method, target, body, header, &t, func() []task.Task { return []task.Task{t} })
}

func (c httpClient) do(ctx context.Context, method, target string, body any, header http.Header, into any, tasks func() []task.Task) outcome {
	answer, _, refusal := c.answer(ctx, method, target, body, header)
	if refusal != nil {
		return *refusal
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			return unknown(err)
		}
	}
	return outcome{Tasks: tasks()}
}

// answer returns the body and the header of an answer, or what its refusal says.
func (c httpClient) answer(ctx context.Context, method, target string, body any, header http.Header) ([]byte, http.Header, *outcome) {
	request, err := c.request(ctx, method, target, body)
	if err != nil {
		return nil, nil, ptr(unknown(err))
	}
	maps.Copy(request.Header, header)
	response, err := c.client.Do(request)
	if err != nil {
		return nil, nil, ptr(unknown(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, ptr(unknown(err))
	}
	if response.StatusCode >= 300 {
		return nil, nil, ptr(c.refusal(response.StatusCode, answer))
	}
	return answer, response.Header, nil
}

func (c httpClient) request(ctx context.Context, method, target string, body any) (*http.Request, error) {
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

func (c httpClient) refusal(status int, answer []byte) outcome {
	var problem struct {
		Errors []struct{ Name string }
	}
	if err := json.Unmarshal(answer, &problem); err != nil {
		return unknown(err)
	}
	kind, ok := map[int]string{
		http.StatusUnprocessableEntity: invalid,
		http.StatusNotFound:            notFound,
		http.StatusPreconditionFailed:  stale,
		http.StatusTooManyRequests:     exhausted,
	}[status]
	if !ok {
		return unknown(string(answer))
	}
	var fields []string
	for _, field := range problem.Errors {
		fields = append(fields, field.Name)
	}
	return refused(kind, fields...)
}
