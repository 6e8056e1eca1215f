package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

// Config describes a cluster.
type Config struct {
	Tree          string // source tree that the services are built from
	Dir           string // for data, logs and programs
	Tools         toolchain.Tools
	WebhookURL    string
	WebhookSecret string
	OnExit        func(Exit) // called at every exit, from several goroutines
}

// Replica has the addresses of a replica of a service, without a proxy.
type Replica struct {
	Name       string
	HTTP, GRPC string // empty if the service has no such server
}

const (
	replicasPerService = 2
	serverPorts        = 7
	servicePorts       = 15
	// Includes a build with an empty build cache.
	startTimeout = 10 * time.Minute
)

// Cluster is a running cluster. It is safe for concurrent use.
type Cluster struct {
	cfg      Config
	postgres server.Postgres
	standby  server.Postgres
	redis    server.Redis
	cache    server.Redis
	kafka    server.ApacheKafka
	proxies  map[string]*netproxy.Proxy
	nodes    []*Node
	replicas []Replica
	spares   []string // names of nodes that do not run at first

	ports []*port.Block
}

// Start builds the services, starts every node and returns when all are ready. After an error
// nothing is left running.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg, proxies: map[string]*netproxy.Proxy{}}
	if err := c.addNodes(ctx); err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	if err := c.startNodes(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the cluster did not start: %w", err), c.Close(ctx))
	}
	return c, nil
}

// Close stops everything, the services first, and removes the data. The logs stay. It ignores the end
// of ctx.
func (c *Cluster) Close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	c.stopNodes(ctx, func(node *Node) bool { return !IsServer(node.name) })
	c.stopNodes(ctx, func(*Node) bool { return true })
	var failed []error
	for _, proxy := range c.proxies {
		failed = append(failed, proxy.Close())
	}
	for _, b := range c.ports {
		b.Close()
	}
	failed = append(failed, c.postgres.Remove(), c.standby.Remove(), os.RemoveAll(filepath.Join(c.cfg.Dir, "data")), os.RemoveAll(c.bin()))
	return errors.Join(failed...)
}

// stopNodes stops nodes for good.
func (c *Cluster) stopNodes(ctx context.Context, selected func(*Node) bool) {
	var stopping sync.WaitGroup
	for _, node := range c.nodes {
		if selected(node) {
			stopping.Go(func() { _ = node.supervisor.StopAll(ctx) }) // killed or not, it has exited
		}
	}
	stopping.Wait()
}

// Node returns the node with a name: a server's, or a service's with the replica's number. It
// panics on an unknown name.
func (c *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(c.nodes, func(node *Node) bool { return node.name == name })
	if i < 0 {
		panic("there is no node " + name) // a mistake in a scenario
	}
	return c.nodes[i]
}

// Nodes returns all nodes, the servers first.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Proxy returns the proxy to a server. It panics on an unknown name.
func (c *Cluster) Proxy(name string) *netproxy.Proxy {
	proxy, ok := c.proxies[name]
	if !ok {
		panic("there is no proxy to " + name) // a mistake in a scenario
	}
	return proxy
}

// Replicas returns the replicas of a service that run from the start.
func (c *Cluster) Replicas(service string) []Replica {
	var found []Replica
	for _, r := range c.replicas {
		if strings.HasPrefix(r.Name, service) && !slices.Contains(c.spares, r.Name) {
			found = append(found, r)
		}
	}
	return found
}

// SpareReplica returns the third member of a consumer group, which does not run at first.
func (c *Cluster) SpareReplica(service string) *Node {
	return c.Node(fmt.Sprintf("%s-%d", service, replicasPerService+1))
}

func (c *Cluster) addNodes(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(c.bin(), 0o755), os.MkdirAll(c.log(), 0o755)); err != nil {
		return err
	}
	for _, n := range []int{serverPorts, servicePorts} {
		block, err := port.Reserve(ctx, n)
		if err != nil {
			return err
		}
		c.ports = append(c.ports, block)
	}
	if err := c.addServers(ctx, portAllocator(c.ports[0].Ports)); err != nil {
		return err
	}
	nextPort := portAllocator(c.ports[1].Ports)
	for _, program := range []string{Todo, Notification, Stats} {
		for number := range replicasPerService {
			c.addReplica(program, number+1, nextPort)
		}
	}
	// The spare members join and leave, so that the groups rebalance.
	for _, program := range []string{Notification, Stats} {
		c.spares = append(c.spares, c.addReplica(program, replicasPerService+1, nextPort))
	}
	return nil
}

func portAllocator(ports []int) func() int {
	return func() int {
		next := ports[0]
		ports = ports[1:]
		return next
	}
}

func (c *Cluster) addNode(part supervisor.Part) {
	onExit := c.cfg.OnExit
	if onExit == nil {
		onExit = func(Exit) {}
	}
	c.nodes = append(c.nodes, newNode(part, c.log(), c.cfg.Tools.Launcher, onExit))
}

func (c *Cluster) startNodes(ctx context.Context) error {
	var services []string
	for _, node := range c.nodes {
		if c.isStartedService(node) {
			services = append(services, node.name)
		}
	}
	return startup.Plan{
		StartPart: func(ctx context.Context, name string) error { return c.Node(name).StartAndWait(ctx) },
		Build:     c.buildServices,
		Migrate:   c.migrate,
		Postgres:  c.postgres,
		Account:   account,
		Kafka:     Kafka,
		Brokers:   c.kafka.Addr(),
		Topics:    []server.Topic{eventsTopic, {Name: event.DLQTopic, Partitions: Partitions, MaxBytes: dlqBytes}},
		Servers:   []string{Redis, RedisCache},
		Services:  services,
	}.Run(ctx)
}

// isStartedService reports whether a node is a service's replica that runs from the start.
func (c *Cluster) isStartedService(node *Node) bool {
	return !IsServer(node.name) && !slices.Contains(c.spares, node.name)
}

// StartServices starts all replicas but the spare ones, and returns when they are ready.
func (c *Cluster) StartServices(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range c.nodes {
		if c.isStartedService(node) {
			group.Go(func() error { return node.StartAndWait(ctx) })
		}
	}
	return group.Wait()
}

// ReplaceTopic deletes the topic of the events and creates it again.
func (c *Cluster) ReplaceTopic(ctx context.Context) error {
	return server.ReplaceTopic(ctx, c.kafka.Addr(), eventsTopic)
}

// StopConsumers stops the consumers gracefully; StartServices starts them again.
func (c *Cluster) StopConsumers(ctx context.Context) {
	var stopping sync.WaitGroup
	for _, node := range c.nodes {
		if strings.HasPrefix(node.name, Notification) || strings.HasPrefix(node.name, Stats) {
			stopping.Go(func() { node.StopAndHold(ctx) })
		}
	}
	stopping.Wait()
}
