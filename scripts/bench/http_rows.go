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

// hit: the list of 100 tasks from the cache, beside the same bytes from memory.
func (b *bench) hit(ctx context.Context) error {
	defer b.stopAll(ctx)
	w, err := b.newWorld(ctx, "hit", 100)
	if err != nil {
		return err
	}
	body, err := list(ctx, w)
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
	if err := await(ctx, p, func() bool { _, err := ask(ctx, bare); return err == nil }); err != nil {
		return err
	}
	return b.atLeast(ctx, "GET /tasks, a hit (net/http from memory), req/s", 0.7,
		func(ctx context.Context) (float64, error) { return b.wrk(ctx, callers, "http://"+w.http+"/tasks", "") },
		func(ctx context.Context) (float64, error) { return b.wrk(ctx, callers, "http://"+bare+"/tasks", "") })
}

// list returns the list once the cache has it.
func list(ctx context.Context, w *world) (body []byte, err error) {
	if _, err := ask(ctx, w.http); err != nil {
		return nil, err
	}
	return ask(ctx, w.http)
}

func ask(ctx context.Context, addr string) ([]byte, error) {
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

// What the service runs for these, see pgstore.
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

	// Each thread completes tasks of its own, each of them once.
	completeEach = `local threads = 0
function setup(thread) thread:set("id", %d + threads * 100000); threads = threads + 1 end
function request() id = id + 1; return wrk.format("PATCH", "/tasks/" .. id .. "/done") end`
)

func (b *bench) create(ctx context.Context) error {
	defer b.stopAll(ctx)
	w, err := b.newWorld(ctx, "create", 1_000)
	if err != nil {
		return err
	}
	return b.atLeast(ctx, "POST /tasks (pgbench, the same SQL), /s", 0.5,
		func(ctx context.Context) (float64, error) {
			return b.wrk(ctx, callers, "http://"+w.http+"/tasks", post)
		},
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, w.dsn, fmt.Sprintf(createSQL, "task.created"))
		})
}

func (b *bench) complete(ctx context.Context) error {
	defer b.stopAll(ctx)
	tasks := 200_000 * b.rounds
	w, err := b.newWorld(ctx, "complete", tasks)
	if err != nil {
		return err
	}
	first := 0
	return b.atLeast(ctx, "PATCH /tasks/{id}/done (pgbench, the same SQL), /s", 0.4,
		func(ctx context.Context) (float64, error) {
			script := fmt.Sprintf(completeEach, first)
			first += 200_000
			return b.wrk(ctx, callers, "http://"+w.http, script)
		},
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, w.dsn, fmt.Sprintf(setID+selectSQL+updateSQL, tasks, "task.completed"))
		})
}

func (b *bench) get(ctx context.Context) error {
	defer b.stopAll(ctx)
	const tasks = 100_000
	w, err := b.newWorld(ctx, "get", tasks)
	if err != nil {
		return err
	}
	return b.atLeast(ctx, "gRPC GetTask (pgbench selecting the row), /s", 0.4,
		func(ctx context.Context) (float64, error) { return b.getTasks(ctx, w, tasks) },
		func(ctx context.Context) (float64, error) {
			return b.pgbench(ctx, w.dsn, fmt.Sprintf(setID+selectSQL, tasks))
		})
}

// getTasks has 32 callers on one connection, as ghz has.
func (b *bench) getTasks(ctx context.Context, w *world, tasks int64) (float64, error) {
	const connections = 1
	var clients [connections]pb.TaskServiceClient
	for i := range clients {
		conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
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
			for n := caller; time.Since(began) < b.each; n += callers {
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

// Ids are spread over all tasks. Each thread has tasks of its own, and completes
// and reopens them in turn.
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

// size: the same requests, few at once, over few tasks and over many.
func (b *bench) size(ctx context.Context) error {
	defer b.stopAll(ctx)
	const few, connections = 1_000, 8
	small, err := b.newWorld(ctx, "small", few)
	if err != nil {
		return err
	}
	large, err := b.newWorld(ctx, "large", b.tasks)
	if err != nil {
		return err
	}
	at := func(w *world, path, script string) rate {
		return func(ctx context.Context) (float64, error) {
			if _, err := w.db.ExecContext(ctx, `UPDATE tasks SET done = false, completed_at = NULL WHERE done`); err != nil {
				return 0, err
			}
			return b.wrk(ctx, connections, "http://"+w.http+path, script)
		}
	}
	var missed []error
	for _, request := range []struct{ what, path, small, large string }{
		{"first page", "/tasks?limit=100", "", ""},
		{"get", "", fmt.Sprintf(getAny, few), fmt.Sprintf(getAny, b.tasks)},
		{"complete and reopen", "", fmt.Sprintf(toggle, few), fmt.Sprintf(toggle, b.tasks)},
		{"create", "/tasks", post, post},
	} {
		quick, slow, err := b.compare(ctx, at(small, request.path, request.small), at(large, request.path, request.large))
		if err == nil {
			err = atMost(fmt.Sprintf("%s: of 1,000 tasks (of %d), req/s", request.what, b.tasks), quick, slow, 1.3)
		}
		missed = append(missed, err)
	}
	return errors.Join(missed...)
}
