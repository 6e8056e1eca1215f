package stack

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/toolchain"
)

// environment looks up variables in a map.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestChosenPortsReadsAVariableForEachPort(t *testing.T) {
	t.Parallel()
	chosen := map[string]string{}
	for i, u := range listeners {
		chosen[u.variable] = fmt.Sprint(20000 + i)
	}
	ports, err := chosenPorts(environment(chosen), toolchain.KafkaApache)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range listeners {
		if ports[u.variable] != 20000+i {
			t.Errorf("%s: port %d, want %d", u.variable, ports[u.variable], 20000+i)
		}
		if !strings.Contains(PortHelp(), u.variable) {
			t.Errorf("%s is missing in the help", u.variable)
		}
	}
}

func TestChosenPortsDefaultToTheDocumentedPorts(t *testing.T) {
	t.Parallel()
	ports, err := chosenPorts(environment(nil), toolchain.KafkaEmbedded)
	if err != nil {
		t.Fatal(err)
	}
	for listener, want := range map[string]int{
		"TODO_HTTP_PORT": 8080, "TODO_GRPC_PORT": 50051, "TODO_OPS_PORT": 9101, "NOTIFICATION_OPS_PORT": 9102, "STATS_HTTP_PORT": 8081, "STATS_OPS_PORT": 9103,
		postgresPort: 5432, redisPort: 6379, kafkaPort: 9092,
	} {
		if ports[listener] != want {
			t.Errorf("%s is %d, want %d", listener, ports[listener], want)
		}
	}
	if _, there := ports[kafkaController]; there {
		t.Error("the embedded Kafka has a controller's port")
	}
}

func TestChosenPortsNamesTheVariableOfAnInvalidPort(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		chosen map[string]string
		want   []string
	}{
		"no number":   {map[string]string{"REDIS_PORT": "six"}, []string{"REDIS_PORT=six"}},
		"zero":        {map[string]string{"REDIS_PORT": "0"}, []string{"REDIS_PORT=0"}},
		"too large":   {map[string]string{"REDIS_PORT": "65536"}, []string{"REDIS_PORT=65536"}},
		"twice":       {map[string]string{"REDIS_PORT": "8080"}, []string{"TODO_HTTP_PORT", "REDIS_PORT", "8080"}},
		"all at once": {map[string]string{"REDIS_PORT": "x", "KAFKA_PORT": "y"}, []string{"REDIS_PORT=x", "KAFKA_PORT=y"}},
	} {
		_, err := chosenPorts(environment(c.chosen), toolchain.KafkaEmbedded)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error is %v, want %q in it", name, err, want)
			}
		}
	}
}

func TestCheckNamesTheProcessAndTheVariableOfATakenPort(t *testing.T) {
	t.Parallel()
	ports, release, err := ResolvePorts(t.Context(), "free", os.Getenv, toolchain.KafkaEmbedded)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := ports.Check(t.Context()); err != nil {
		t.Fatalf("with free ports: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ports[redisPort] = l.Addr().(*net.TCPAddr).Port
	err = ports.Check(t.Context())
	for _, want := range []string{fmt.Sprintf("port %d, for redis,", ports[redisPort]), fmt.Sprintf("(pid %d)", os.Getpid()), "REDIS_PORT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
}
