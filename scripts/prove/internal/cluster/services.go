package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/prove/internal/history"
)

// The names of the services.
const (
	Todo         = "todo-service"
	Notification = "notification-service"
	Stats        = "stats-service"
)

var services = []string{Todo, Notification, Stats}

const replicasPerService = 2

// Replica has the addresses of a replica of a service, without a proxy.
type Replica struct {
	Name       string
	Ops        string // of its metrics
	HTTP, GRPC string // empty if the service has no such server
	spare      bool   // does not run at first
}

// addReplicas adds the nodes of the services. The consumers have a spare member, which joins and leaves, so that
// the groups rebalance.
func (c *Cluster) addReplicas() {
	for _, program := range services {
		replicas := replicasPerService
		if program != Todo {
			replicas++
		}
		for number := range replicas {
			c.addReplica(program, number+1)
		}
	}
}

// addReplica adds a replica's node. A consumer that runs from the start is a static member of its group, so a
// quick restart does not rebalance the group.
func (c *Cluster) addReplica(program string, number int) {
	replica := Replica{Name: fmt.Sprintf("%s-%d", program, number), Ops: c.nextAddr(), spare: number > replicasPerService}
	env := append(c.environment(replica.Name), "OPS_ADDR="+replica.Ops)
	if program != Notification {
		replica.HTTP = c.nextAddr()
		env = append(env, "HTTP_ADDR="+replica.HTTP)
	}
	if program == Todo {
		replica.GRPC = c.nextAddr()
		env = append(env, "GRPC_ADDR="+replica.GRPC)
	} else if !replica.spare {
		env = append(env, "KAFKA_INSTANCE_ID="+replica.Name)
	}
	c.addNode(startup.Service(replica.Name, c.program(c.firstVersion(), program), replica.Ops, nil, env))
	c.replicas = append(c.replicas, replica)
}

// environment returns the settings of every replica; a program ignores what it does not know.
func (c *Cluster) environment(name string) []string {
	dsn := server.Postgres{Port: c.Proxy(Postgres).Port()}.DSN()
	sessionAttrs := ""
	if name == fmt.Sprintf("%s-%d", Todo, replicasPerService) { // the other replica accepts any server
		sessionAttrs = "&target_session_attrs=read-write"
	}
	auth := "off"
	if c.cfg.SignIn {
		auth = "on"
	}
	return []string{
		"LOG_FORMAT=text",
		"AUTH_MODE=" + auth,
		"DRAIN_WAIT=0s", // there is no load balancer
		"POSTGRES_DSN=" + dsn + "&application_name=" + name + sessionAttrs,
		"REDIS_ADDR=" + c.Proxy(Redis).Addr(),
		"REDIS_CACHE_ADDR=" + c.Proxy(RedisCache).Addr(),
		"KAFKA_BROKERS=" + c.Proxy(Kafka).Addr(),
		// All clients share one address, from which one user has more requests than any should.
		"RATE_LIMIT_REQUESTS=1000000000",
		"WATCH_MAX_PER_CLIENT=10000",
		"MAX_CONNS_PER_CLIENT=10000",
		"WEBHOOK_URL=" + c.cfg.WebhookURL,
		"WEBHOOK_SECRET=" + c.cfg.WebhookSecret,
		"WEBHOOK_ALLOW_PRIVATE=true",
	}
}

// RunCommand runs a service's program, built from the working tree, with arguments such as "dlq",
// "list", with the settings of its replicas but without the proxies. The error contains its output.
func (c *Cluster) RunCommand(ctx context.Context, program string, args ...string) error {
	return c.runProgram(ctx, history.Working, program, args...)
}

// CreateUser creates a user that can sign in.
func (c *Cluster) CreateUser(ctx context.Context, email, password string, isAdmin bool) error {
	command := c.command(history.Working, Todo, "users", "create", "--email", email)
	if isAdmin {
		command.Args = append(command.Args, "--admin")
	}
	command.Stdin = strings.NewReader(password)
	return c.cfg.Tools.Launcher.Run(ctx, command)
}

func (c *Cluster) runProgram(ctx context.Context, version, program string, args ...string) error {
	return c.cfg.Tools.Launcher.Run(ctx, c.command(version, program, args...))
}

func (c *Cluster) command(version, program string, args ...string) proc.Command {
	return proc.Command{
		Path: c.program(version, program), Args: args,
		Env: append(c.environment(program), "POSTGRES_DSN="+c.PostgresDSN(), "KAFKA_BROKERS="+c.kafka.Addr(),
			"REDIS_ADDR="+c.redis.Addr(), "REDIS_CACHE_ADDR="+c.cache.Addr()),
	}
}

// Replicas returns the replicas that run from the start, of a service, or of all services for "".
func (c *Cluster) Replicas(service string) []Replica {
	return slices.DeleteFunc(slices.Clone(c.replicas), func(r Replica) bool {
		return r.spare || !strings.HasPrefix(r.Name, service)
	})
}

// SpareReplica returns the third member of a consumer group, which does not run at first.
func (c *Cluster) SpareReplica(service string) *Node {
	return c.Node(fmt.Sprintf("%s-%d", service, replicasPerService+1))
}

// StartServices starts all replicas but the spare ones, and returns when they are ready.
func (c *Cluster) StartServices(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, replica := range c.Replicas("") {
		group.Go(func() error { return c.Node(replica.Name).StartAndWait(ctx) })
	}
	return group.Wait()
}

// StopConsumers stops the consumers gracefully; StartServices starts them again.
func (c *Cluster) StopConsumers(ctx context.Context) {
	isConsumer := func(name string) bool { return strings.HasPrefix(name, Notification) || strings.HasPrefix(name, Stats) }
	c.forEach(isConsumer, func(node *Node) { node.StopAndHold(ctx) })
}
