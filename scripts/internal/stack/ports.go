package stack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/port"
)

// listener is something that listens, by the name of the variable that chooses its port.
type listener string

// The listeners of the stack.
const (
	todoHTTP        listener = "TODO_HTTP_PORT"
	todoGRPC        listener = "TODO_GRPC_PORT"
	todoOps         listener = "TODO_OPS_PORT"
	notificationOps listener = "NOTIFICATION_OPS_PORT"
	statsHTTP       listener = "STATS_HTTP_PORT"
	statsOps        listener = "STATS_OPS_PORT"
	postgresPort    listener = "POSTGRES_PORT"
	redisPort       listener = "REDIS_PORT"
	kafkaPort       listener = "KAFKA_PORT"
	kafkaController listener = "KAFKA_CONTROLLER_PORT"
)

// defaultPorts holds each listener, the part that it belongs to, and its port unless another is chosen.
var defaultPorts = []struct {
	listener listener
	part     string
	what     string
	port     int
}{
	{todoHTTP, "todo-service", "HTTP", 8080},
	{todoGRPC, "todo-service", "gRPC", 50051},
	{todoOps, "todo-service", "ops", 9101},
	{notificationOps, "notification-service", "ops", 9102},
	{statsHTTP, "stats-service", "HTTP", 8081},
	{statsOps, "stats-service", "ops", 9103},
	{postgresPort, "postgres", "", 5432},
	{redisPort, "redis", "", 6379},
	{kafkaPort, "kafka", "", 9092},
	{kafkaController, "kafka", "controller, of the real Kafka only", 9093},
}

// Ports are the ports that a stack listens on, all of them on 127.0.0.1.
type Ports map[listener]int

// Addr is the address of a listener.
func (p Ports) Addr(l listener) string { return port.Addr(p[l]) }

// ChosenPorts returns the usual ports, changed by the environment. The error names every variable that
// is no port, or the same port as another.
func ChosenPorts(getenv func(string) string, kafka string) (Ports, error) {
	ports := Ports{}
	owner := map[int]listener{}
	var failed []error
	for _, u := range defaultPorts {
		if u.listener == kafkaController && kafka != KafkaApache {
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
	block, err := port.Reserve(ctx, len(defaultPorts))
	if err != nil {
		return nil, nil, err
	}
	ports = Ports{}
	for i, u := range defaultPorts {
		ports[u.listener] = block.Ports[i]
	}
	return ports, block.Close, nil
}

// Check tells whether every port can be listened on. The error names all that cannot, who holds them,
// and the variable that chooses another.
func (p Ports) Check(ctx context.Context) error {
	var failed []error
	for _, u := range defaultPorts {
		n, used := p[u.listener]
		if !used {
			continue
		}
		err := port.Check(ctx, n)
		if errors.Is(err, port.ErrTaken) {
			err = portTakenError(n, strings.TrimSpace(u.part+" "+u.what), u.listener)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func portTakenError(n int, what string, l listener) error {
	by := "another process"
	if holder := port.Holder(n); holder != "" {
		by = holder
	}
	return fmt.Errorf("port %d, for %s, is taken by %s: stop that, or choose another port with %s", n, what, by, l)
}

// PortHelp lists the variables that choose ports, one on each line.
func PortHelp() string {
	var b strings.Builder
	for _, u := range defaultPorts {
		fmt.Fprintf(&b, "  %-22s %-6d %s\n", u.listener, u.port, strings.TrimSpace(u.part+" "+u.what))
	}
	return b.String()
}
