package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
)

// The statements of pgstore for these requests.
const (
	insertEvent = ` INSERT INTO events
	(task_id, title, priority, done, created_at, completed_at, version, id, type, at, user_id, traceparent)
	SELECT t.id, t.title, t.priority, t.done, t.created_at, t.completed_at, t.version,
	gen_random_uuid(), '%s', now(), NULL::bigint, '' FROM t`
	createSQL = `WITH t AS (INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
	VALUES ('Learn Go', 1, false, now(), NULL, 1) RETURNING *)` + insertEvent + ` RETURNING task_id;`
	selectSQL = `SELECT id, title, priority, done, created_at, completed_at, version FROM tasks WHERE id = :id;`
	updateSQL = `WITH t AS (
	UPDATE tasks SET title = title, priority = priority, done = true, completed_at = now(), version = version + 1
	WHERE id = :id AND version > 0 RETURNING *)` + insertEvent + `;`
	setID = "\\set id random(1, %d)\n"
)

// Scripts of wrk.
const (
	post = `wrk.method = "POST"
wrk.body = '{"title":"Learn Go","priority":1}'
wrk.headers["Content-Type"] = "application/json"`

	// Each thread has its own range of tasks and completes each task once.
	completeEach = `local threads = 0
function setup(thread) thread:set("id", %d + threads * 100000); threads = threads + 1 end
function request() id = id + 1; return wrk.format("PATCH", "/tasks/" .. id .. "/done") end`

	// The ids are spread over all tasks.
	getAny = `function request() return wrk.format("GET", "/tasks/" .. math.random(1, %d)) end`

	// Each thread has its own tasks, spread over all, which it completes and reopens alternately.
	toggle = `local threads, stride = 0, %d / 1000
function setup(thread) thread:set("own", threads); threads = threads + 1 end
function init() n = 0 end
function request()
  local id = (n %% 500 * 2 + own) * stride + 1
  local done = math.floor(n / 500) %% 2 == 0
  n = n + 1
  local json = {["Content-Type"] = "application/json"}
  return wrk.format("PATCH", "/tasks/" .. id, json, '{"done":' .. tostring(done) .. '}')
end`
)

// measureHTTP measures the rows of --only. notify is the first: it would have to read the events of the others.
func (b *bench) measureHTTP(ctx context.Context) error {
	var failed []error
	for _, row := range []struct {
		name    string
		tasks   int
		measure func(context.Context, *todoService) error
	}{
		{"notify", 100_000, b.measureNotifications},
		{"hit", 100, b.measureHits},
		{"fresh", 100, b.measureHitRatio},
		{"create", 1_000, b.measureCreate},
		{"complete", b.rounds * tasksPerRound, b.measureComplete},
		{"get", 100_000, b.measureGet},
		{"size", b.tasks, b.measureSize},
	} {
		if !slices.Contains(b.only, row.name) {
			continue
		}
		todo, err := b.startTodo(ctx, row.name, row.tasks)
		if err == nil {
			err = row.measure(ctx, todo)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", row.name, err))
		}
		b.stopServices(ctx) // they would take processor time from the next row
	}
	return errors.Join(failed...)
}

// measureHits compares with the least that net/http can do: a server with the same bytes in memory.
func (b *bench) measureHits(ctx context.Context, todo *todoService) error {
	body, _, err := request(ctx, http.MethodGet, todo.http+"/tasks", "") // fills the cache, too
	if err != nil {
		return err
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
	defer bare.Close()
	return b.compare(ctx, "GET /tasks, a hit (net/http from memory), req/s", limit{min: 0.7},
		b.wrk(callers, todo.http+"/tasks", ""), b.wrk(callers, bare.URL, ""))
}

// measureHitRatio creates tasks and lists them at a steady rate. The best possible share of cache hits has one
// miss for each write.
func (b *bench) measureHitRatio(ctx context.Context, todo *todoService) error {
	const readsPerSecond, readsPerWrite, perSecond = 1_000, 50, 1_020
	hitRatio := func(ctx context.Context) (float64, error) {
		began := time.Now()
		var reads, hits atomic.Int64
		err := sendAtRate(ctx, perSecond, int(b.each.Seconds())*perSecond, func(i int) error {
			if i%(readsPerWrite+1) == 0 {
				_, _, err := request(ctx, http.MethodPost, todo.http+"/tasks", `{"title":"Learn Go","priority":1}`)
				return err
			}
			_, cache, err := request(ctx, http.MethodGet, todo.http+"/tasks", "")
			reads.Add(1)
			if strings.HasSuffix(cache, "; hit") {
				hits.Add(1)
			}
			return err
		})
		if rate := float64(reads.Load()) / time.Since(began).Seconds(); err == nil && rate < 0.9*readsPerSecond {
			err = fmt.Errorf("the load generator reached only %.0f reads/s", rate)
		}
		return float64(hits.Load()) / float64(reads.Load()), err
	}
	return b.compare(ctx, "hits at 20 writes/s, 1000 reads/s (a miss each write)", limit{min: 0.975},
		hitRatio, func(context.Context) (float64, error) { return 1 - 1.0/readsPerWrite, nil })
}

func (b *bench) measureCreate(ctx context.Context, todo *todoService) error {
	return b.compare(ctx, "POST /tasks (pgbench, the same SQL), /s", limit{min: 0.5},
		b.wrk(callers, todo.http+"/tasks", post), b.pgbench(todo.dsn, fmt.Sprintf(createSQL, "task.created")))
}

// tasksPerRound is more than what a round can complete.
const tasksPerRound = 200_000

func (b *bench) measureComplete(ctx context.Context, todo *todoService) error {
	first := 0
	completeNext := func(ctx context.Context) (float64, error) {
		script := fmt.Sprintf(completeEach, first)
		first += tasksPerRound
		return b.wrk(callers, todo.http, script)(ctx)
	}
	return b.compare(ctx, "PATCH /tasks/{id}/done (pgbench, the same SQL), /s", limit{min: 0.4},
		completeNext, b.pgbench(todo.dsn, fmt.Sprintf(setID+selectSQL+updateSQL, b.rounds*tasksPerRound, "task.completed")))
}

func (b *bench) measureGet(ctx context.Context, todo *todoService) error {
	const tasks = 100_000
	// One connection is the default of ghz.
	conn, err := grpc.NewClient(todo.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := pb.NewTaskServiceClient(conn)
	getTasks := func(ctx context.Context) (float64, error) {
		began := time.Now()
		var calls atomic.Int64
		var all errgroup.Group
		for range callers {
			all.Go(func() error {
				for time.Since(began) < b.each {
					id := 1 + calls.Add(1)*7919%tasks
					if _, err := client.GetTask(ctx, &pb.GetTaskRequest{Id: id}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		err := all.Wait()
		return float64(calls.Load()) / time.Since(began).Seconds(), err
	}
	return b.compare(ctx, "gRPC GetTask (pgbench selecting the row), /s", limit{min: 0.4},
		getTasks, b.pgbench(todo.dsn, fmt.Sprintf(setID+selectSQL, tasks)))
}

// measureSize compares few tasks with many, with few connections.
func (b *bench) measureSize(ctx context.Context, large *todoService) error {
	const few, connections = 1_000, 8
	small, err := b.startTodo(ctx, "small", few)
	if err != nil {
		return err
	}
	reopenAndSend := func(todo *todoService, path, script string) rate {
		return func(ctx context.Context) (float64, error) {
			if _, err := todo.ExecContext(ctx, `UPDATE tasks SET done = false, completed_at = NULL WHERE done`); err != nil {
				return 0, err
			}
			return b.wrk(connections, todo.http+path, script)(ctx)
		}
	}
	var failed []error
	for _, request := range []struct{ what, path, small, large string }{
		{"first page", "/tasks?limit=100", "", ""},
		{"get", "", fmt.Sprintf(getAny, few), fmt.Sprintf(getAny, b.tasks)},
		{"complete and reopen", "", fmt.Sprintf(toggle, few), fmt.Sprintf(toggle, b.tasks)},
		{"create", "/tasks", post, post},
	} {
		what := fmt.Sprintf("%s: of 1,000 tasks (of %d), req/s", request.what, b.tasks)
		failed = append(failed, b.compare(ctx, what, limit{max: 1.3},
			reopenAndSend(small, request.path, request.small), reopenAndSend(large, request.path, request.large)))
	}
	return errors.Join(failed...)
}

const (
	completionsPerSecond = 50
	warmups              = 100 // enough for every partition
)

// measureNotifications measures the time from the request that completes a task to the notification in the log.
// At the same time a bare producer and a bare consumer exchange as many records.
func (b *bench) measureNotifications(ctx context.Context, todo *todoService) error {
	notifier, err := b.start("notification-service", todo.environ)
	if err != nil {
		return err
	}
	n := 2 * int(b.each.Seconds()) * b.rounds * completionsPerSecond
	// Joining the consumer group takes seconds and is not measured.
	if _, err := completeTasks(ctx, todo.http, notifier, n+1, warmups); err != nil {
		return err
	}
	var ours, theirs []float64
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		ours, err = completeTasks(ctx, todo.http, notifier, 1, n)
		return err
	})
	both.Go(func() (err error) {
		theirs, err = exchangeBare(ctx, b.kafka, n)
		return err
	})
	if err := both.Wait(); err != nil {
		return err
	}
	const what = "completed to notified (bare Sarama), "
	return errors.Join(
		printRow(what+"p50, ms", limit{max: 4}, quantile(ours, 0.5), quantile(theirs, 0.5)),
		printRow(what+"p99, ms", limit{max: 2}, quantile(ours, 0.99), quantile(theirs, 0.99)),
	)
}

var notification = regexp.MustCompile(`"time":"([^"]+)".*Task 'Learn Go, lesson (\d+)' has been completed!`)

// completeTasks completes n tasks from first on, and returns how many milliseconds later each was notified.
func completeTasks(ctx context.Context, url string, notifier *service, first, n int) (delays []float64, err error) {
	began := make([]time.Time, n)
	err = sendAtRate(ctx, completionsPerSecond, n, func(i int) error {
		began[i] = time.Now()
		_, _, err := request(ctx, http.MethodPatch, fmt.Sprintf("%s/tasks/%d/done", url, first+i), "")
		return err
	})
	if err != nil {
		return nil, err
	}
	err = notifier.await(ctx, func() (bool, error) {
		delays = nil
		log, err := os.ReadFile(notifier.log)
		for _, found := range notification.FindAllSubmatch(log, -1) {
			at, _ := time.Parse(time.RFC3339Nano, string(found[1])) // both match the pattern
			id, _ := strconv.Atoi(string(found[2]))
			if id >= first && id < first+n {
				delays = append(delays, at.Sub(began[id-first]).Seconds()*1000)
			}
		}
		return len(delays) >= n, err
	})
	return delays, err
}

// exchangeBare sends n records by a Sarama producer with acks=all, and returns how many milliseconds later a
// Sarama consumer received each. Each has its own connections, because a produce request would wait behind a
// fetch on the same connection.
func exchangeBare(ctx context.Context, kafka string, n int) (delays []float64, err error) {
	cfg := sarama.NewConfig()
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewManualPartitioner // to partition 0
	consumer, err := sarama.NewConsumer([]string{kafka}, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = consumer.Close() }()
	records, err := consumer.ConsumePartition(bareTopic, 0, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = records.Close() }()
	producer, err := sarama.NewSyncProducer([]string{kafka}, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = producer.Close() }()

	sending, ctx := errgroup.WithContext(ctx)
	sending.Go(func() error {
		return sendAtRate(ctx, completionsPerSecond, n, func(int) error {
			now := sarama.StringEncoder(strconv.FormatInt(time.Now().UnixNano(), 10))
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: bareTopic, Value: now})
			return err
		})
	})
	for range n {
		select {
		case record := <-records.Messages():
			sent, _ := strconv.ParseInt(string(record.Value), 10, 64) // a number
			delays = append(delays, time.Since(time.Unix(0, sent)).Seconds()*1000)
		case <-ctx.Done():
			return nil, sending.Wait()
		}
	}
	return delays, sending.Wait()
}
