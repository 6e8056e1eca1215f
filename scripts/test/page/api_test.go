package page

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver of database/sql
	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/internal/stack"
)

// task is a task of the API.
type task struct {
	ID        int64     `json:"id"`
	Title     string    `json:"title"`
	Priority  int       `json:"priority"`
	Done      bool      `json:"done"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
}

// request sends a request to todo-service itself, as curl does, and decodes the response into out.
func request(t *testing.T, method, path string, body, out any) {
	t.Helper()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+system.env["TODO_HTTP_ADDR"]+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatalf("%s %s: %s: %v", method, path, answer, err)
	}
}

// create makes a task.
func create(t *testing.T, title string, priority int) (made task) {
	t.Helper()
	request(t, http.MethodPost, "/tasks", map[string]any{"title": title, "priority": priority}, &made)
	return made
}

// change patches a task.
func change(t *testing.T, id int64, fields map[string]any) (changed task) {
	t.Helper()
	request(t, http.MethodPatch, fmt.Sprintf("/tasks/%d", id), fields, &changed)
	return changed
}

func remove(t *testing.T, id int64) {
	t.Helper()
	request(t, http.MethodDelete, fmt.Sprintf("/tasks/%d", id), nil, nil)
}

// list returns up to 1,000 tasks.
func list(t *testing.T) (all []task) {
	t.Helper()
	request(t, http.MethodGet, "/tasks", nil, &all)
	return all
}

// findTask returns the task with a title.
func findTask(t *testing.T, title string) (found task, ok bool) {
	t.Helper()
	for _, one := range list(t) {
		if one.Title == title {
			return one, true
		}
	}
	return task{}, false
}

// awaitTask waits until the API has a task for which a condition holds.
func awaitTask(t *testing.T, title string, condition func(task) bool) (found task) {
	t.Helper()
	eventually(t, func() error {
		one, ok := findTask(t, title)
		if !ok || condition != nil && !condition(one) {
			return fmt.Errorf("the task %q is %+v", title, one)
		}
		found = one
		return nil
	})
	return found
}

// awaitGone waits until the API has no task with a title.
func awaitGone(t *testing.T, title string) {
	t.Helper()
	eventually(t, func() error {
		if _, ok := findTask(t, title); ok {
			return fmt.Errorf("the task %q is still there", title)
		}
		return nil
	})
}

// rpc returns a client of the gRPC API.
func rpc(t *testing.T) pb.TaskServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(system.env["TODO_GRPC_ADDR"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewTaskServiceClient(conn)
}

// database returns the system's database.
func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", system.env["POSTGRES_DSN"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// clearTasks removes all tasks without events: no page is open.
func clearTasks(t *testing.T) {
	t.Helper()
	if _, err := database(t).Exec("DELETE FROM tasks"); err != nil {
		t.Fatal(err)
	}
	// A change invalidates the cached list.
	remove(t, create(t, "to empty the cache", 0).ID)
}

// fillTasks makes n tasks with the titles "Task 1" and so on, without events: no page is open.
func fillTasks(t *testing.T, n int) {
	t.Helper()
	_, err := database(t).Exec(`INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
		SELECT 'Task ' || i, i % 100, i % 4 = 0, now() - i * interval '1 minute', CASE WHEN i % 4 = 0 THEN now() END, 1 FROM generate_series(1, $1) i`, n)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, create(t, "to empty the cache", 0).ID)
}

// flushRedis deletes everything in the system's Redis, after a check that it is this one.
func flushRedis(t *testing.T) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: system.env["REDIS_ADDR"]})
	defer client.Close()
	config, err := client.ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.EvalSymlinks(system.dir)
	if err != nil {
		t.Fatal(err)
	}
	if dir := config["dir"]; !strings.HasPrefix(dir, own+string(filepath.Separator)) {
		t.Fatalf("the Redis at %s keeps its data in %s, not in %s: it is not flushed", system.env["REDIS_ADDR"], dir, own)
	}
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// stopPart and startPart control a part of the system. A part that a failed test has stopped is started again.
func stopPart(t *testing.T, part string) {
	t.Helper()
	if err := stack.Control(t.Context(), system.dir, "stop", part); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = stack.Control(context.Background(), system.dir, "start", part)
		}
	})
}

func startPart(t *testing.T, part string) {
	t.Helper()
	if err := stack.Control(t.Context(), system.dir, "start", part); err != nil {
		t.Fatal(err)
	}
}

// get returns the body of a response. A status other than 200 is an error.
func get(url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// awaitDatabase waits until todo-service reads from its database again: its pool has dropped the broken connections.
func awaitDatabase(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		_, err := get("http://" + system.env["TODO_HTTP_ADDR"] + "/tasks?q=uncached")
		return err
	})
}

// metric returns the value of a metric of todo-service.
func metric(t *testing.T, name string) float64 {
	t.Helper()
	text, err := get("http://" + system.env["TODO_OPS_ADDR"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
