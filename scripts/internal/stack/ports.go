package stack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/port"
)

// Listener is something that listens, by the name of the variable that chooses its port.
type Listener string

// The listeners of the stack.
const (
	TodoHTTP        Listener = "TODO_HTTP_PORT"
	TodoGRPC        Listener = "TODO_GRPC_PORT"
	TodoOps         Listener = "TODO_OPS_PORT"
	NotificationOps Listener = "NOTIFICATION_OPS_PORT"
	StatsHTTP       Listener = "STATS_HTTP_PORT"
	StatsOps        Listener = "STATS_OPS_PORT"
	PostgresPort    Listener = "POSTGRES_PORT"
	RedisPort       Listener = "REDIS_PORT"
	KafkaPort       Listener = "KAFKA_PORT"
	KafkaController Listener = "KAFKA_CONTROLLER_PORT"
)

// usual holds each listener, the part that it belongs to, and its port unless another is chosen.
var usual = []struct {
	listener Listener
	part     string
	what     string
	port     int
}{
	{TodoHTTP, "todo-service", "HTTP", 8080},
	{TodoGRPC, "todo-service", "gRPC", 50051},
	{TodoOps, "todo-service", "ops", 9101},
	{NotificationOps, "notification-service", "ops", 9102},
	{StatsHTTP, "stats-service", "HTTP", 8081},
	{StatsOps, "stats-service", "ops", 9103},
	{PostgresPort, "postgres", "", 5432},
	{RedisPort, "redis", "", 6379},
	{KafkaPort, "kafka", "", 9092},
	{KafkaController, "kafka", "controller, of the real Kafka only", 9093},
}

// Ports are the ports that a stack listens on, all of them on 127.0.0.1.
type Ports map[Listener]int

// Addr is the address of a listener.
func (p Ports) Addr(l Listener) string { return port.Addr(p[l]) }

// ChosenPorts returns the usual ports, changed by the environment. The error names every variable that
// is no port, or the same port as another.
func ChosenPorts(getenv func(string) string, kafka string) (Ports, error) {
	ports := Ports{}
	owner := map[int]Listener{}
	var failed []error
	for _, u := range usual {
		if u.listener == KafkaController && kafka != KafkaApache {
			continue
		}
		n := u.port
		if text := getenv(string(u.listener)); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 1 || n > 65535 {
				failed = append(failed, fmt.Errorf("%s=%s is no port: it takes a number from 1 to 65535", u.listener, text))
				continue
			}
		}
		if other, twice := owner[n]; twice {
			failed = append(failed, fmt.Errorf("%s and %s both choose port %d", other, u.listener, n))
		}
		owner[n] = u.listener
		ports[u.listener] = n
	}
	return ports, errors.Join(failed...)
}

// FreePorts returns ports that nobody listens on, and that no other stack gets before release is called.
func FreePorts(ctx context.Context) (ports Ports, release func(), err error) {
	block, err := port.Reserve(ctx, len(usual))
	if err != nil {
		return nil, nil, err
	}
	ports = Ports{}
	for i, u := range usual {
		ports[u.listener] = block.Ports[i]
	}
	return ports, block.Close, nil
}

// Check tells whether every port can be listened on. The error names all that cannot, who holds them,
// and the variable that chooses another.
func (p Ports) Check(ctx context.Context) error {
	var failed []error
	for _, u := range usual {
		n, used := p[u.listener]
		if !used {
			continue
		}
		err := port.Check(ctx, n)
		if errors.Is(err, port.ErrTaken) {
			err = taken(n, strings.TrimSpace(u.part+" "+u.what), u.listener)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func taken(n int, what string, l Listener) error {
	by := "another process"
	if holder := port.Holder(n); holder != "" {
		by = holder
	}
	return fmt.Errorf("port %d, for %s, is taken by %s: stop that, or choose another port with %s", n, what, by, l)
}

// PortHelp lists the variables that choose ports, one on each line.
func PortHelp() string {
	var b strings.Builder
	for _, u := range usual {
		fmt.Fprintf(&b, "  %-22s %-6d %s\n", u.listener, u.port, strings.TrimSpace(u.part+" "+u.what))
	}
	return b.String()
}
