package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/process/processtest"
)

func TestMain(m *testing.M) {
	processtest.Main(m, New("noisy", "Makes noise", load, noisy).Main)
}

// noisy makes each library log a message, and then fails as TEST_FAILURE says.
func noisy(ctx context.Context, _ settings) error {
	log := logging.Open(logging.Config{Format: "json", Level: slog.LevelDebug}, "noisy")
	log.Info("ours")
	stdlog.Print("of package log\nwith a second line")
	sarama.Logger.Printf("of sarama %d\n", 1)
	sarama.DebugLogger.Println("of sarama's debug logger")
	goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: time.Second}).Ping(ctx)
	grpclog.Error("of grpc: an error\x1b[31m")
	grpclog.Warningf("of grpc: %s", "a warning")
	grpclog.Info("of grpc: dropped")
	otel.Handle(errors.New("of opentelemetry"))
	servePanic(ctx)
	fmt.Println("done")
	switch os.Getenv("TEST_FAILURE") {
	case "error":
		return errors.New("out of paint\nand of brushes\u202e")
	case "panic":
		return &panicked{}
	}
	return nil
}

type panicked struct{}

func (*panicked) Error() string { return "it panicked" }
func (*panicked) Stack() []byte { return []byte("goroutine 1\nmain.go:1") }

// servePanic serves one request with a handler that panics.
func servePanic(ctx context.Context) {
	server, err := httpserver.Listen(httpserver.Defaults("127.0.0.1:0"), func(l net.Listener) net.Listener { return l }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("of net/http") }))
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		panic(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_, _ = bufio.NewReader(conn).ReadByte() // the connection ends without a response
	conn.Close()
	stop()
	<-ended
}

func TestLibrariesAndTheFailureOfTheProcessAreInItsLog(t *testing.T) {
	for failure, want := range map[string]int{"none": 0, "error": ExitFailure, "panic": ExitFailure} {
		child := processtest.Command([]string{"TEST_FAILURE=" + failure})
		var stdout, stderr bytes.Buffer
		child.Stdout, child.Stderr = &stdout, &stderr
		if err := child.Run(); child.ProcessState.ExitCode() != want {
			t.Errorf("%s: %v", failure, err)
		}
		if stdout.String() != "done\n" {
			t.Errorf("%s: standard output %q", failure, stdout.String())
		}
		logged := map[string]string{} // by library
		for _, l := range processtest.Parse(t, stderr.String(), "noisy") {
			logged[l.Library] += l.Level + " " + l.Msg + " " + l.Error + " " + l.Stack + "\n"
		}
		for library, want := range map[string]string{
			"": "INFO of package log\nwith a second line", "sarama": "DEBUG of sarama 1", "go-redis": "DEBUG redis: connection pool: failed to dial",
			"grpc-go": "WARN of grpc: an error\x1b[31m", "opentelemetry": "WARN OpenTelemetry failed of opentelemetry", "net/http": "WARN http: panic serving",
		} {
			if !strings.Contains(logged[library], want) {
				t.Errorf("%s: %q logs %q, want %q", failure, library, logged[library], want)
			}
		}
		for library, want := range map[string]string{"sarama": "debug logger", "grpc-go": "DEBUG of grpc: a warning", "net/http": "libraries_test.go"} {
			if !strings.Contains(logged[library], want) {
				t.Errorf("%s: %q logs %q, want %q", failure, library, logged[library], want)
			}
		}
		last := map[string]string{"none": "", "error": "failed out of paint\nand of brushes\u202e", "panic": "failed it panicked goroutine 1\nmain.go:1"}
		if !strings.Contains(logged[""], last[failure]) || strings.Contains(logged["grpc-go"], "dropped") {
			t.Errorf("%s: %q", failure, logged)
		}
	}
}
