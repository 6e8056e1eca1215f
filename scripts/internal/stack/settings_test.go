package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

func settings(environ ...string) Settings {
	ports := Ports{}
	for _, u := range listeners {
		ports[u.variable] = u.port
	}
	return Settings{Root: "/repo", Dir: "/repo/.dev", Kafka: toolchain.KafkaEmbedded, Ports: ports, Environ: environ}
}

func environ(t *testing.T, part supervisor.Part) []string {
	t.Helper()
	command, err := part.Command()
	if err != nil {
		t.Fatal(err)
	}
	return command.Env
}

// lookup returns the variables as a program reads them: of duplicates, the last.
func lookup(environ []string, names ...string) map[string]string {
	found := map[string]string{}
	for _, name := range names {
		found[name] = Settings{Environ: environ}.getenv(name)
	}
	return found
}

func TestServicesListenOnLoopbackAndReceiveTheServersAddresses(t *testing.T) {
	t.Parallel()
	servers := map[string]string{
		"POSTGRES_DSN": "postgres://todo:todo@127.0.0.1:5432/todo?sslmode=disable",
		"REDIS_ADDR":   "127.0.0.1:6379", "KAFKA_BROKERS": "127.0.0.1:9092",
	}
	for name, want := range map[string]map[string]string{
		todoService:         {"HTTP_ADDR": "127.0.0.1:8080", "GRPC_ADDR": "127.0.0.1:50051", "OPS_ADDR": "127.0.0.1:9101"},
		statsService:        {"HTTP_ADDR": "127.0.0.1:8081", "OPS_ADDR": "127.0.0.1:9103"},
		notificationService: {"OPS_ADDR": "127.0.0.1:9102"},
	} {
		env := environ(t, settings("POSTGRES_DSN=elsewhere", "REDIS_ADDR=elsewhere").service(name))
		for variable, value := range servers {
			want[variable] = value
		}
		for variable, value := range want {
			if got := lookup(env, variable)[variable]; got != value {
				t.Errorf("%s gets %s=%q, want %q", name, variable, got, value)
			}
		}
	}
}

func TestServicesReceiveTheCallersVariables(t *testing.T) {
	t.Parallel()
	env := environ(t, settings("RATE_LIMIT_REQUESTS=10", "LOG_FORMAT=json").service(todoService))
	want := map[string]string{"RATE_LIMIT_REQUESTS": "10", "LOG_FORMAT": "json"}
	if diff := cmp.Diff(want, lookup(env, "RATE_LIMIT_REQUESTS", "LOG_FORMAT")); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestPageMayRequestTheStatistics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		port    int
		secure  bool
		environ []string
		want    map[string]string
	}{
		"as documented": {8080, false, nil, map[string]string{"WEB_STATS_URL": "http://localhost:8081", "HTTP_CORS_ORIGINS": "http://localhost:8080,http://127.0.0.1:8080"}},
		"on port 80":    {80, false, nil, map[string]string{"WEB_STATS_URL": "http://localhost:8081", "HTTP_CORS_ORIGINS": "http://localhost,http://127.0.0.1"}},
		"secure":        {8080, true, nil, map[string]string{"WEB_STATS_URL": "https://localhost:8081", "HTTP_CORS_ORIGINS": "https://localhost:8080,https://127.0.0.1:8080"}},
		"on port 443":   {443, true, nil, map[string]string{"WEB_STATS_URL": "https://localhost:8081", "HTTP_CORS_ORIGINS": "https://localhost,https://127.0.0.1"}},
		"as chosen": {
			8080, false, []string{"WEB_STATS_URL=", "HTTP_CORS_ORIGINS=https://app.example.com"},
			map[string]string{"WEB_STATS_URL": "", "HTTP_CORS_ORIGINS": "https://app.example.com"},
		},
	} {
		s := settings(c.environ...)
		s.Ports["TODO_HTTP_PORT"], s.Secure = c.port, c.secure
		got := lookup(environ(t, s.service(todoService)), "WEB_STATS_URL")
		got["HTTP_CORS_ORIGINS"] = lookup(environ(t, s.service(statsService)), "HTTP_CORS_ORIGINS")["HTTP_CORS_ORIGINS"]
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: variables (-want +got):\n%s", name, diff)
		}
	}
}

func TestTopicsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ    []string
		partitions int
	}{
		"as documented": {nil, 6},
		"chosen":        {[]string{"KAFKA_PARTITIONS=12"}, 12},
	} {
		got, err := settings(c.environ...).topics()
		if err != nil {
			t.Fatal(err)
		}
		want := []server.Topic{
			{Name: "task-events", Partitions: c.partitions, MaxBytes: 1 << 20},
			{Name: "task-events-dlq", Partitions: c.partitions, MaxBytes: 1<<20 + 64<<10},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: topics (-want +got):\n%s", name, diff)
		}
	}
	for _, bad := range []string{"0", "-1", "six"} {
		if _, err := settings("KAFKA_PARTITIONS=" + bad).topics(); err == nil {
			t.Errorf("KAFKA_PARTITIONS=%s gave no error", bad)
		}
	}
}
