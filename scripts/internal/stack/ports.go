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

// The variables that set the servers' ports.
const (
	postgresPort    = "POSTGRES_PORT"
	redisPort       = "REDIS_PORT"
	kafkaPort       = "KAFKA_PORT"
	kafkaController = "KAFKA_CONTROLLER_PORT"
)

// listeners lists the sockets that the parts listen on. The variable sets the port. A service listens on the
// address in its setting <what>_ADDR.
var listeners = []struct {
	variable, part, what string
	port                 int
}{
	{"TODO_HTTP_PORT", todoService, "HTTP", 8080},
	{"TODO_GRPC_PORT", todoService, "gRPC", 50051},
	{"TODO_OPS_PORT", todoService, "ops", 9101},
	{"NOTIFICATION_OPS_PORT", notificationService, "ops", 9102},
	{"STATS_HTTP_PORT", statsService, "HTTP", 8081},
	{"STATS_OPS_PORT", statsService, "ops", 9103},
	{postgresPort, "postgres", "", 5432},
	{redisPort, "redis", "", 6379},
	{kafkaPort, "kafka", "", 9092},
	{kafkaController, "kafka", "controller, of the real Kafka only", 9093},
}

// Ports are the ports of a stack, all on 127.0.0.1, by their variables.
type Ports map[string]int

// Addr returns the address of a listener.
func (p Ports) Addr(variable string) string { return port.Addr(p[variable]) }

// ResolvePorts returns a stack's ports. With "chosen" they are the defaults, overridden by the environment;
// with "free" they are free ones, which no other stack gets before release is called.
func ResolvePorts(ctx context.Context, how string, getenv func(string) string, kafka string) (ports Ports, release func(), err error) {
	switch how {
	case "chosen":
		ports, err = chosenPorts(getenv, kafka)
		return ports, func() {}, err
	case "free":
		block, err := port.Reserve(ctx, len(listeners))
		if err != nil {
			return nil, nil, err
		}
		ports = Ports{}
		for i, l := range listeners {
			ports[l.variable] = block.Ports[i]
		}
		return ports, block.Close, nil
	default:
		return nil, nil, fmt.Errorf("--ports=%s: must be chosen or free", how)
	}
}

// chosenPorts returns an error that names every variable with an invalid or a duplicate port.
func chosenPorts(getenv func(string) string, kafka string) (Ports, error) {
	ports := Ports{}
	owner := map[int]string{}
	var failed []error
	for _, l := range listeners {
		if l.variable == kafkaController && kafka != toolchain.KafkaApache {
			continue
		}
		n := l.port
		if text := getenv(l.variable); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 1 || n > 65535 {
				failed = append(failed, fmt.Errorf("%s=%s is not a port: must be a number from 1 to 65535", l.variable, text))
				continue
			}
		}
		if other, twice := owner[n]; twice {
			failed = append(failed, fmt.Errorf("%s and %s both choose port %d", other, l.variable, n))
		}
		owner[n] = l.variable
		ports[l.variable] = n
	}
	return ports, errors.Join(failed...)
}

// Check returns an error for the ports that are taken: each with the process that listens on it and the
// variable that chooses another port.
func (p Ports) Check(ctx context.Context) error {
	var failed []error
	for _, l := range listeners {
		n, used := p[l.variable]
		if !used {
			continue
		}
		err := port.Check(ctx, n)
		if errors.Is(err, port.ErrTaken) {
			err = fmt.Errorf("port %d, for %s, is taken by %s: stop that, or choose another port with %s",
				n, strings.TrimSpace(l.part+" "+l.what), cmp.Or(port.Holder(n), "another process"), l.variable)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// PortHelp lists the variables that choose ports with their defaults, one a line.
func PortHelp() string {
	var b strings.Builder
	for _, l := range listeners {
		fmt.Fprintf(&b, "  %-22s %-6d %s\n", l.variable, l.port, strings.TrimSpace(l.part+" "+l.what))
	}
	return b.String()
}
