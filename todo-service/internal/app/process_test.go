//go:build unix

package app

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// variables are those of a service whose PostgreSQL, Redis and Kafka are away, as is
// the receiver of its traces.
func variables(t *testing.T) (env []string, ops string) {
	t.Helper()
	away, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	return []string{
		"HTTP_ADDR=" + testenv.FreeAddr(t), "GRPC_ADDR=" + testenv.FreeAddr(t), "OPS_ADDR=" + ops, "DRAIN_WAIT=0s",
		"POSTGRES_DSN=postgres://todo:todo@" + away + "/todo?sslmode=disable", "REDIS_ADDR=" + away, "KAFKA_BROKERS=" + away,
		"TRACING_ENDPOINT=" + away, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=200",
	}, ops
}

func value(env []string, name string) string {
	for _, variable := range env {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

// provoke sends what can be answered and what cannot be understood, over both transports.
func provoke(t *testing.T, env []string) {
	t.Helper()
	for _, request := range []string{
		"GET /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /x%1b%5d52;c;cHduZWQ=%1b%5c%e2%80%ae%ff%0alevel=ERROR HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /" + strings.Repeat("%0a", 5000) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"\x16\x03\x01\x00\x05hello\r\n\r\n", // TLS
	} {
		for _, name := range []string{"HTTP_ADDR", "GRPC_ADDR", "OPS_ADDR"} {
			conn, err := net.Dial("tcp", value(env, name))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, request)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // a reset is an answer too
			conn.Close()
		}
	}
	_, err := pb.NewTaskServiceClient(dial(t, value(env, "GRPC_ADDR"))).GetTask(t.Context(), &pb.GetTaskRequest{Id: 1})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("GetTask: %v", err)
	}
}

func TestTheServiceAsAProcess(t *testing.T) {
	t.Parallel()
	processtest.Check(t, processtest.Service{
		Name: name, Settings: variables, Exercise: provoke, Libraries: []string{"sarama", "go-redis", "opentelemetry", "grpc-go"},
	})
}

// With its servers there, and streams open: they get their farewell whatever the
// signal was, and also when the log cannot be written any more.
func TestEachSignalToStopTellsWatchersToResume(t *testing.T) {
	t.Parallel()
	for signal, reader := range map[syscall.Signal]string{syscall.SIGTERM: "stays", syscall.SIGHUP: "stays", syscall.SIGINT: "left"} {
		t.Run(signal.String()+", the reader of the log "+reader, func(t *testing.T) {
			t.Parallel()
			env, ops := variables(t)
			env = append(env, "POSTGRES_DSN="+database(t).String(), "REDIS_ADDR="+testenv.RequireEnv(t, "TEST_REDIS_ADDR"), "LOG_FORMAT=json", "LOG_LEVEL=debug",
				"REDIS_KEY_PREFIX=test-"+rand.Text()+":", "RATE_LIMIT_REQUESTS=1000")
			var migration bytes.Buffer
			migrate := processtest.Command(env, "migrate")
			migrate.Stdout, migrate.Stderr = &migration, &migration
			if err := migrate.Run(); err != nil {
				t.Fatalf("%v: %s", err, migration.String())
			}
			processtest.ParseLog(t, migration.String(), name)

			unread, pipe, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			service := processtest.Command(env)
			service.Stderr = pipe
			processtest.Start(t, service)
			pipe.Close()
			log := make(chan []byte, 1)
			go func() {
				text, _ := io.ReadAll(unread) // which fails when it is closed
				log <- text
			}()
			testenv.Eventually(t, "ready", func() bool { return answered("http://"+ops+"/readyz") == http.StatusOK })
			stream := watching(t, value(env, "GRPC_ADDR"))
			events, err := http.Get("http://" + value(env, "HTTP_ADDR") + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer events.Body.Close()
			if reader == "left" {
				unread.Close()
			}
			created, err := http.Post("http://"+value(env, "HTTP_ADDR")+"/tasks", "application/json", strings.NewReader(`{"title":"A"}`))
			if err != nil || created.StatusCode != http.StatusCreated {
				t.Fatal(created, err)
			}
			created.Body.Close()

			service.Process.Signal(signal)
			if said, err := io.ReadAll(events.Body); err != nil || !regexp.MustCompile(`: .*resume.*\nretry: \d+\nid: \d+\n\n$`).Match(said) {
				t.Errorf("the stream of events ended with %q, error %v", said, err)
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if told := status.Convert(err); told.Code() != codes.Unavailable || !strings.Contains(told.Message(), "resume with the token") {
				t.Errorf("the watcher was told: %v", err)
			}
			if err := service.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if text := <-log; reader == "stays" {
				processtest.ParseLog(t, string(text), name)
			}
		})
	}
}
