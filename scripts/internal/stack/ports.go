package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/toolchain"
)

// listener is a socket that a part listens on, named for the variable that sets its port.
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

// defaultPorts lists each listener with its part and its default port.
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

// Ports are the ports of a stack, all on 127.0.0.1.
type Ports map[listener]int

// Addr returns the address of a listener.
func (p Ports) Addr(l listener) string { return port.Addr(p[l]) }

// ResolvePorts returns a stack's ports. With "chosen" they are the defaults, overridden by the environment;
// with "free" they are free ones, which no other stack gets before release is called.
func ResolvePorts(ctx context.Context, how string, getenv func(string) string, kafka string) (ports Ports, release func(), err error) {
	switch how {
	case "chosen":
		ports, err = chosenPorts(getenv, kafka)
		return ports, func() {}, err
	case "free":
		return freePorts(ctx)
	default:
		return nil, nil, fmt.Errorf("--ports=%s: must be chosen or free", how)
	}
}

// chosenPorts returns an error that names every variable with an invalid or a duplicate port.
func chosenPorts(getenv func(string) string, kafka string) (Ports, error) {
	ports := Ports{}
	owner := map[int]listener{}
	var failed []error
	for _, u := range defaultPorts {
		if u.listener == kafkaController && kafka != toolchain.KafkaApache {
			continue
		}
		n := u.port
		if text := getenv(string(u.listener)); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 1 || n > 65535 {
				failed = append(failed, fmt.Errorf("%s=%s is not a port: must be a number from 1 to 65535", u.listener, text))
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

func freePorts(ctx context.Context) (ports Ports, release func(), err error) {
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

// Check returns an error for the ports that are taken: each with the process that listens on it and the
// variable that chooses another port.
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
	by := cmp.Or(port.Holder(n), "another process")
	return fmt.Errorf("port %d, for %s, is taken by %s: stop that, or choose another port with %s", n, what, by, l)
}

// PortHelp lists the variables that choose ports with their defaults, one a line.
func PortHelp() string {
	var b strings.Builder
	for _, u := range defaultPorts {
		fmt.Fprintf(&b, "  %-22s %-6d %s\n", u.listener, u.port, strings.TrimSpace(u.part+" "+u.what))
	}
	return b.String()
}
