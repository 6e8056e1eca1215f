package app

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"example.com/todo/platform/config"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// openConn opens a connection, and reports whether the server keeps it.
func openConn(t *testing.T, addr string) (conn net.Conn, kept bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_, err = bufio.NewReader(conn).ReadString('\n')
	return conn, err == nil
}

func TestConnectionsAndStreamsOfAClientAreLimitedOverBothTransports(t *testing.T) {
	t.Parallel()
	cfg := withoutServers(t)
	cfg.MaxConnsPerClient, cfg.Watch.MaxPerClient = 5, 2
	cfg.Postgres.DSN = config.Secret(migratedDatabase(t).String())
	_, stop := start(t, cfg)
	defer stop()
	awaitReady(t, cfg)

	// The first stream, over the first connection, is of gRPC health.
	health := healthpb.NewHealthClient(dial(t, cfg.GRPC.Addr))
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	events, err := http.Get("http://" + cfg.HTTP.Addr + "/events")
	if err != nil || events.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", events, err)
	}
	defer events.Body.Close()
	third, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = third.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a third stream, over gRPC: %v", err)
	}
	if got := getStatus("http://" + cfg.HTTP.Addr + "/events"); got != http.StatusTooManyRequests {
		t.Errorf("a third stream, over HTTP: %d", got)
	}

	// Two of the client's five connections hold streams.
	testenv.Eventually(t, "two connections are open", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return readMetric("http://"+cfg.Ops.Addr, `server_connections{server="http"}`)+readMetric("http://"+cfg.Ops.Addr, `server_connections{server="grpc"}`) == 2
	})
	for i := range 5 {
		if _, kept := openConn(t, cfg.HTTP.Addr); kept != (i < 3) {
			t.Errorf("connection %d after the two is kept: %t", i+1, kept)
		}
	}
	if got := readMetric("http://"+cfg.Ops.Addr, `server_connections_refused_total{limit="client",server="http"}`); got != 2 {
		t.Errorf("%d connections were refused, want 2", got)
	}
	if got := getStatus("http://" + cfg.Ops.Addr + "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz: %d", got)
	}
}

// runWithFileLimit runs the service with a limit of open files until the test ends. If it
// exits by itself, ended gets its log.
func runWithFileLimit(t *testing.T, files string, cfg Config) (ended <-chan string) {
	t.Helper()
	cmd := processtest.Shell([]string{
		"LOG_FORMAT=json", "HTTP_ADDR=" + cfg.HTTP.Addr, "GRPC_ADDR=" + cfg.GRPC.Addr, "OPS_ADDR=" + cfg.Ops.Addr,
		"POSTGRES_DSN=" + cfg.Postgres.DSN.Reveal(), "REDIS_ADDR=" + cfg.Redis.Addr, "KAFKA_BROKERS=" + strings.Join(cfg.Kafka.Brokers, ","),
	}, `ulimit -n `+files+` && exec "$0"`)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan string, 1)
	var waited sync.WaitGroup
	waited.Go(func() {
		_ = cmd.Wait() // any exit code
		exited <- log.String()
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		waited.Wait()
	})
	return exited
}

func TestOpsPortServesWhileClientsHoldAllTheirDescriptors(t *testing.T) {
	t.Parallel()
	cfg := withoutServers(t)
	runWithFileLimit(t, "90", cfg)
	ops := "http://" + cfg.Ops.Addr
	testenv.Eventually(t, "alive", func() bool { return getStatus(ops+"/livez") == http.StatusOK })
	if _, kept := openConn(t, cfg.HTTP.Addr); !kept {
		t.Error("no client is served")
	}
	for _, addr := range []string{cfg.HTTP.Addr, cfg.GRPC.Addr} {
		for range 120 {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
	}
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for range 10 {
		// The server may count a connection of before that the probe has closed already.
		testenv.Eventually(t, "the probe is answered", func() bool {
			resp, err := probe.Get(ops + "/livez")
			if err == nil {
				resp.Body.Close()
			}
			return err == nil
		})
	}
}

func TestServiceRefusesToStartWithTooFewOpenFiles(t *testing.T) {
	t.Parallel()
	select {
	case log := <-runWithFileLimit(t, "60", withoutServers(t)):
		if line := strings.TrimSpace(log); strings.Contains(line, "\n") || !strings.Contains(line, "may have 60 files open (ulimit -n, LimitNOFILE) and needs at least") {
			t.Errorf("got the log %s", log)
		}
	case <-time.After(30 * time.Second):
		t.Error("the service does not exit")
	}
}

// The server applies this policy, so one route stands for all.
func TestEveryPortRefusesAnotherHost(t *testing.T) {
	t.Parallel()
	cfg := withoutServers(t)
	cfg.HTTP.AllowedHosts, cfg.Ops.AllowedHosts = []string{"todo.example.com"}, []string{"ops.example.com"}
	_, stop := start(t, cfg)
	defer stop()
	testenv.Eventually(t, "alive", func() bool { return getStatus("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
	for _, c := range []struct {
		addr, path, host string
		want             int
	}{
		{cfg.HTTP.Addr, "/openapi.yaml", "evil.example", 421}, {cfg.HTTP.Addr, "/events", "evil.example", 421}, {cfg.HTTP.Addr, "/livez", "evil.example", 421},
		{cfg.HTTP.Addr, "/openapi.yaml", "ops.example.com", 421}, {cfg.HTTP.Addr, "/openapi.yaml", "todo.example.com:8080", 200}, {cfg.HTTP.Addr, "/openapi.yaml", "localhost", 200},
		{cfg.Ops.Addr, "/metrics", "evil.example", 421}, {cfg.Ops.Addr, "/metrics", "todo.example.com", 421}, {cfg.Ops.Addr, "/metrics", "ops.example.com", 200},
		{cfg.Ops.Addr, "/livez", "evil.example", 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.addr+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s as %s: %d, want %d", c.path, c.host, resp.StatusCode, c.want)
		}
	}
}
