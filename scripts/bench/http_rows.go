package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/internal/port"
)

// hit measures GET /tasks from the cache, against a bare server with the same bytes in memory.
func (b *httpBench) hit(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	todo, err := b.newInstance(ctx, "hit", 100)
	if err != nil {
		return err
	}
	body, err := cachedList(ctx, todo)
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bare := port.Addr(b.ports.Ports[0])
	p, err := b.start(self, os.Environ(), os.Stderr, "bare", bare, file)
	if err != nil {
		return err
	}
	if err := await(ctx, p, func() bool { _, err := getTasksJSON(ctx, bare); return err == nil }); err != nil {
		return err
	}
	return b.compareRates(ctx, "GET /tasks, a hit (net/http from memory), req/s", 0.7,
		func(ctx context.Context) (float64, error) {
			return b.wrk(ctx, callers, "http://"+todo.http+"/tasks", "")
		},
		func(ctx context.Context) (float64, error) { return b.wrk(ctx, callers, "http://"+bare+"/tasks", "") })
}

// cachedList returns the list after a request that filled the cache.
func cachedList(ctx context.Context, todo *instance) (body []byte, err error) {
	if _, err := getTasksJSON(ctx, todo.http); err != nil {
		return nil, err
	}
	return getTasksJSON(ctx, todo.http)
}

func getTasksJSON(ctx context.Context, addr string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/tasks", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// The statements of pgstore for these requests.
const (
	insertEvent = ` INSERT INTO events (task_id, title, priority, done, created_at, completed_at, version, id, type, at, user_id, traceparent)
	SELECT t.id, t.title, t.priority, t.done, t.created_at, t.completed_at, t.version, gen_random_uuid(), '%s', now(), NULL::bigint, '' FROM t`
	createSQL = `WITH t AS (INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
	VALUES ('Learn Go', 1, false, now(), NULL, 1) RETURNING *)` + insertEvent + ` RETURNING task_id;`
	selectSQL = `SELECT id, title, priority, done, created_at, completed_at, version FROM tasks WHERE id = :id;`
	updateSQL = `WITH t AS (UPDATE tasks SET title = title, priority = priority, done = true, completed_at = now(), version = version + 1
	WHERE id = :id AND version > 0 RETURNING *)` + insertEvent + `;`
	setID = "\\set id random(1, %d)\n"
)

const (
	post = `wrk.method = "POST"
wrk.body = '{"title":"Learn Go","priority":1}'
wrk.headers["Content-Type"] = "application/json"`

	// Each thread has its own range of tasks and completes each task once.
	completeEach = `local threads = 0
function setup(thread) thread:set("id", %d + threads * 100000); threads = threads + 1 end
function request() id = id + 1; return wrk.format("PATCH", "/tasks/" .. id .. "/done") end`
)

// create measures POST /tasks against pgbench with the same SQL.
func (b *httpBench) create(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	todo, err := b.newInstance(ctx, "create", 1_000)
	if err != nil {
		return err
	}
	return b.compareRates(ctx, "POST /tasks (pgbench, the same SQL), /s", 0.5,
		func(ctx context.Context) (float64, error) {
			return b.wrk(ctx, callers, "http://"+todo.http+"/tasks", post)
		},
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, todo.dsn, fmt.Sprintf(createSQL, "task.created"))
		})
}

// complete measures PATCH /tasks/{id}/done against pgbench with the same SQL.
func (b *httpBench) complete(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	tasks := 200_000 * b.rounds
	todo, err := b.newInstance(ctx, "complete", tasks)
	if err != nil {
		return err
	}
	first := 0
	return b.compareRates(ctx, "PATCH /tasks/{id}/done (pgbench, the same SQL), /s", 0.4,
		func(ctx context.Context) (float64, error) {
			script := fmt.Sprintf(completeEach, first)
			first += 200_000
			return b.wrk(ctx, callers, "http://"+todo.http, script)
		},
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, todo.dsn, fmt.Sprintf(setID+selectSQL+updateSQL, tasks, "task.completed"))
		})
}

// get measures GetTask against pgbench with the same SELECT.
func (b *httpBench) get(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	const tasks = 100_000
	todo, err := b.newInstance(ctx, "get", tasks)
	if err != nil {
		return err
	}
	return b.compareRates(ctx, "gRPC GetTask (pgbench selecting the row), /s", 0.4,
		func(ctx context.Context) (float64, error) { return b.getTasks(ctx, todo, tasks) },
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, todo.dsn, fmt.Sprintf(setID+selectSQL, tasks))
		})
}

// getTasks calls GetTask from all callers over one connection, as ghz does by default.
func (b *httpBench) getTasks(ctx context.Context, todo *instance, tasks int64) (float64, error) {
	const connections = 1
	var clients [connections]pb.TaskServiceClient
	for i := range clients {
		conn, err := grpc.NewClient(todo.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close() }()
		clients[i] = pb.NewTaskServiceClient(conn)
	}
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	began := time.Now()
	var all sync.WaitGroup
	for caller := range int64(callers) {
		all.Go(func() {
			for n := caller; time.Since(began) < b.duration; n += callers {
				_, err := clients[caller%connections].GetTask(ctx, &pb.GetTaskRequest{Id: 1 + n*7919%tasks})
				if err != nil {
					failed.Store(&err)
					return
				}
				calls.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / time.Since(began).Seconds(), nil
}

// Scripts of wrk with ids spread over all tasks. With toggle each thread has its own tasks, which it completes
// and reopens alternately.
const (
	getAny = `function request() return wrk.format("GET", "/tasks/" .. math.random(1, %d)) end`
	toggle = `local threads, stride = 0, %d / 1000
function setup(thread) thread:set("own", threads); threads = threads + 1 end
function init() n = 0 end
function request()
  local id = (n %% 500 * 2 + own) * stride + 1
  local done = math.floor(n / 500) %% 2 == 0
  n = n + 1
  return wrk.format("PATCH", "/tasks/" .. id, {["Content-Type"] = "application/json"}, '{"done":' .. tostring(done) .. '}')
end`
)

// size measures the same requests over few tasks and over many, with few connections.
func (b *httpBench) size(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	const few, connections = 1_000, 8
	small, err := b.newInstance(ctx, "small", few)
	if err != nil {
		return err
	}
	large, err := b.newInstance(ctx, "large", b.tasks)
	if err != nil {
		return err
	}
	at := func(todo *instance, path, script string) rate {
		return func(ctx context.Context) (float64, error) {
			if _, err := todo.db.ExecContext(ctx, `UPDATE tasks SET done = false, completed_at = NULL WHERE done`); err != nil {
				return 0, err
			}
			return b.wrk(ctx, connections, "http://"+todo.http+path, script)
		}
	}
	var missed []error
	for _, request := range []struct{ what, path, small, large string }{
		{"first page", "/tasks?limit=100", "", ""},
		{"get", "", fmt.Sprintf(getAny, few), fmt.Sprintf(getAny, b.tasks)},
		{"complete and reopen", "", fmt.Sprintf(toggle, few), fmt.Sprintf(toggle, b.tasks)},
		{"create", "/tasks", post, post},
	} {
		rateSmall, rateLarge, err := compare(ctx, b.rounds, at(small, request.path, request.small), at(large, request.path, request.large))
		if err == nil {
			err = atMost(fmt.Sprintf("%s: of 1,000 tasks (of %d), req/s", request.what, b.tasks), rateSmall, rateLarge, 1.3)
		}
		missed = append(missed, err)
	}
	return errors.Join(missed...)
}
