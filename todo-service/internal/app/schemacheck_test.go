package app

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

// The older schema has every table, so that only the check keeps writes from it.
func TestNoStatementIsSentBeforeTheSchemaCheckHasPassed(t *testing.T) {
	t.Parallel()
	cfg, dsn := withoutServers(t), migratedDatabase(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	db := openDatabase(t, dsn)
	var newest int64
	if err := db.Get(&newest, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version) RETURNING version_id`); err != nil {
		t.Fatal(err)
	}
	serve(t, cfg)
	testenv.Eventually(t, "alive", func() bool { return getStatus("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
	create := func() (status int, retryAfter string) {
		resp, err := http.Post("http://"+cfg.HTTP.Addr+"/tasks", "application/json", strings.NewReader(`{"title":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	if got, retryAfter := create(); got != http.StatusServiceUnavailable || retryAfter == "" {
		t.Errorf("on the older schema POST /tasks: %d, Retry-After %q", got, retryAfter)
	}
	tasks := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr))
	if _, err := tasks.CreateTask(t.Context(), &pb.CreateTaskRequest{Title: "x"}); status.Code(err) != codes.Unavailable {
		t.Errorf("on the older schema CreateTask: %v", err)
	}
	if n := readMetric("http://"+cfg.Ops.Addr, `go_sql_open_connections{db_name="postgres"}`); n != 0 {
		t.Errorf("requests, relay, hub and janitors have %d connections to the older schema", n)
	}
	db.MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, newest)
	awaitReady(t, cfg)
	if got, _ := create(); got != http.StatusCreated {
		t.Errorf("after the migration POST /tasks: %d", got)
	}
}
