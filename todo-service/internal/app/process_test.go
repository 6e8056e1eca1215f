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

// environment returns the environment of a service whose PostgreSQL, Redis, Kafka and
// trace collector are unavailable.
func environment(t *testing.T) (env []string, ops string) {
	t.Helper()
	away, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	return []string{
		"HTTP_ADDR=" + testenv.FreeAddr(t), "GRPC_ADDR=" + testenv.FreeAddr(t), "OPS_ADDR=" + ops, "DRAIN_WAIT=0s",
		"POSTGRES_DSN=postgres://todo:todo@" + away + "/todo?sslmode=disable", "REDIS_ADDR=" + away, "KAFKA_BROKERS=" + away,
		"TRACING_ENDPOINT=" + away, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=200",
	}, ops
}

func lookup(env []string, name string) string {
	for _, variable := range env {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

// sendMalformedRequests sends valid and malformed requests to every port.
func sendMalformedRequests(t *testing.T, env []string) {
	t.Helper()
	for _, request := range []string{
		"GET /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /x%1b%5d52;c;cHduZWQ=%1b%5c%e2%80%ae%ff%0alevel=ERROR HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"GET /" + strings.Repeat("%0a", 5000) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		"\x16\x03\x01\x00\x05hello\r\n\r\n", // TLS
	} {
		for _, name := range []string{"HTTP_ADDR", "GRPC_ADDR", "OPS_ADDR"} {
			conn, err := net.Dial("tcp", lookup(env, name))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, request)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // the server may reset the connection
			conn.Close()
		}
	}
	_, err := pb.NewTaskServiceClient(dial(t, lookup(env, "GRPC_ADDR"))).GetTask(t.Context(), &pb.GetTaskRequest{Id: 1})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("GetTask: %v", err)
	}
}

func TestServiceProcessStartsLogsAndStops(t *testing.T) {
	t.Parallel()
	processtest.Check(t, processtest.Service{
		Name: name, Settings: environment, Exercise: sendMalformedRequests, Libraries: []string{"sarama", "go-redis", "opentelemetry", "grpc-go"},
	})
}

// Streams must end properly on each signal, also when the log can not be written.
func TestEverySignalEndsStreamsWithAResumeToken(t *testing.T) {
	t.Parallel()
	for signal, reader := range map[syscall.Signal]string{syscall.SIGTERM: "reads", syscall.SIGHUP: "reads", syscall.SIGINT: "has exited"} {
		t.Run(signal.String()+", the reader of the log "+reader, func(t *testing.T) {
			t.Parallel()
			env, ops := environment(t)
			env = append(env, "POSTGRES_DSN="+createDatabase(t).String(), "POSTGRES_CONNECT_TIMEOUT=1m", "REDIS_ADDR="+testenv.RequireEnv(t, "TEST_REDIS_ADDR"), "LOG_FORMAT=json", "LOG_LEVEL=debug",
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
				text, _ := io.ReadAll(unread) // an error means that the test closed it
				log <- text
			}()
			testenv.Eventually(t, "ready", func() bool { return getStatus("http://"+ops+"/readyz") == http.StatusOK })
			stream := openWatch(t, lookup(env, "GRPC_ADDR"))
			events, err := http.Get("http://" + lookup(env, "HTTP_ADDR") + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer events.Body.Close()
			if reader == "has exited" {
				unread.Close()
			}
			created, err := http.Post("http://"+lookup(env, "HTTP_ADDR")+"/tasks", "application/json", strings.NewReader(`{"title":"A"}`))
			if err != nil || created.StatusCode != http.StatusCreated {
				t.Fatal(created, err)
			}
			created.Body.Close()

			service.Process.Signal(signal)
			if end, err := io.ReadAll(events.Body); err != nil || !regexp.MustCompile(`: .*resume.*\nretry: \d+\nid: \d+\n\n$`).Match(end) {
				t.Errorf("the stream of events ended with %q, error %v", end, err)
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if got := status.Convert(err); got.Code() != codes.Unavailable || !strings.Contains(got.Message(), "resume with the token") {
				t.Errorf("the gRPC stream ended with %v", err)
			}
			if err := service.Wait(); err != nil {
				t.Errorf("the service exited with %v", err)
			}
			if text := <-log; reader == "reads" {
				processtest.ParseLog(t, string(text), name)
			}
		})
	}
}
