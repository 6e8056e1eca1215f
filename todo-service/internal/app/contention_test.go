package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

// priorityChangers change the priority of task 1, over each transport.
func priorityChangers(t *testing.T, cfg Config) map[string]func(ctx context.Context, priority int32) error {
	client := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr))
	return map[string]func(context.Context, int32) error{
		"gRPC": func(ctx context.Context, priority int32) error {
			_, err := client.UpdateTask(ctx, &pb.UpdateTaskRequest{Id: 1, Priority: &priority})
			return err
		},
		"HTTP": func(ctx context.Context, priority int32) error {
			body := strings.NewReader(fmt.Sprintf(`{"priority":%d}`, priority))
			req, err := http.NewRequestWithContext(ctx, http.MethodPatch, "http://"+cfg.HTTP.Addr+"/tasks/1", body)
			if err != nil {
				return err
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode == http.StatusOK {
				return err
			}
			if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" {
				return status.Error(codes.Unavailable, resp.Status)
			}
			return fmt.Errorf("status %s", resp.Status)
		},
	}
}

func TestConcurrentChangesOfOneTaskAllSucceed(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 10 // over each transport
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(migratedDatabase(t).String())
	serve(t, cfg)
	testenv.Eventually(t, "a task", func() bool { return postStatus("http://"+cfg.HTTP.Addr+"/tasks") == http.StatusCreated })

	var group sync.WaitGroup
	for over, change := range priorityChangers(t, cfg) {
		for w := range writers {
			group.Go(func() {
				for i := range each { // always a different priority, so that each change makes an event
					if err := change(t.Context(), int32(1+(w*each+i)%100)); err != nil {
						t.Errorf("over %s: %v", over, err)
					}
				}
			})
		}
	}
	group.Wait()
}

// The trigger suppresses each update, as if another writer had always been first.
func TestEndlessContentionIsUnavailableAtTheDeadline(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	cfg.HTTP.RequestTimeout, cfg.GRPC.RequestTimeout = time.Second, time.Second
	serve(t, cfg)
	testenv.Eventually(t, "a task", func() bool { return postStatus("http://"+cfg.HTTP.Addr+"/tasks") == http.StatusCreated })
	openDatabase(t, dsn).MustExec(`
		CREATE FUNCTION overtaken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER overtaken BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION overtaken()`)

	for over, change := range priorityChangers(t, cfg) {
		start := time.Now()
		err := change(t.Context(), 7)
		if took := time.Since(start); status.Code(err) != codes.Unavailable || took < 900*time.Millisecond {
			t.Errorf("over %s: %v after %v", over, err, took)
		}
	}
}
