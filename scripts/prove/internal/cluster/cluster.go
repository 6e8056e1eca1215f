// Package cluster implements the cluster under test: PostgreSQL, two Redis servers, Kafka and two
// replicas of every service, with a folder and free ports of 127.0.0.1 of its own.
//
//	todo-service-1, -2 ─────────┐          ┌─> postgres ──> postgres-standby
//	notification-service-1, -2 ─┼─ proxy ──┼─> redis, redis-cache
//	stats-service-1, -2 ────────┘ (faults) └─> kafka
//	checker, probe, rogue producer ──────────^ directly
//
// Each program is a Node, which restarts its process whenever it exits, and which can be killed,
// frozen and held. The services reach every server through a proxy that injects network faults;
// observers connect directly.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

// Config describes a cluster.
type Config struct {
	Tree          string // working tree: the source tree that the services are built from, an absolute path
	ReleasedTree  string // source tree of the released version; if not empty, the replicas and the schema start with that version
	Dir           string // for data, logs and programs
	Tools         toolchain.Tools
	WebhookURL    string
	WebhookSecret string
	SignIn        bool       // clients sign in, see CreateUser
	OnExit        func(Exit) // called at every exit, from several goroutines
}

const (
	serverPorts  = 7
	servicePorts = 15
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

	blocks []*port.Block
	ports  []int // of the blocks, not used yet
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
	if err := c.plan().Run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the cluster did not start: %w", err), c.Close(ctx))
	}
	return c, nil
}

// Close stops everything, the services first, and removes the data. The logs stay. It ignores the end
// of ctx.
func (c *Cluster) Close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	stop := func(node *Node) { _ = node.Close(ctx) } // killed or not, it has exited
	c.forEach(func(name string) bool { return !IsServer(name) }, stop)
	c.forEach(IsServer, stop)
	var failed []error
	for _, proxy := range c.proxies {
		failed = append(failed, proxy.Close())
	}
	for _, b := range c.blocks {
		b.Close()
	}
	failed = append(failed, c.standby.Remove(), toolchain.RemoveData(c.data()), os.RemoveAll(c.bins()))
	return errors.Join(failed...)
}

// forEach calls do for the selected nodes, in parallel.
func (c *Cluster) forEach(selected func(name string) bool, do func(*Node)) {
	var calls sync.WaitGroup
	for _, node := range c.nodes {
		if selected(node.Name()) {
			calls.Go(func() { do(node) })
		}
	}
	calls.Wait()
}

// Node returns the node with a name: a server's, or a service's with the replica's number. It
// panics on an unknown name.
func (c *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(c.nodes, func(node *Node) bool { return node.Name() == name })
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

func (c *Cluster) addNodes(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(c.bins(), 0o755), os.MkdirAll(c.log(), 0o755)); err != nil {
		return err
	}
	for _, n := range []int{serverPorts, servicePorts} {
		block, err := port.Reserve(ctx, n)
		if err != nil {
			return err
		}
		c.blocks = append(c.blocks, block)
		c.ports = append(c.ports, block.Ports...)
	}
	if err := c.addServers(ctx); err != nil {
		return err
	}
	c.addReplicas()
	return nil
}

func (c *Cluster) addNode(part supervisor.Part) {
	c.nodes = append(c.nodes, newNode(part, c.log(), c.cfg.Tools.Launcher, c.cfg.OnExit))
}

func (c *Cluster) nextPort() int {
	next := c.ports[0]
	c.ports = c.ports[1:]
	return next
}

func (c *Cluster) nextAddr() string { return port.Addr(c.nextPort()) }

func (c *Cluster) plan() startup.Plan {
	plan := startup.Plan{
		StartPart: func(ctx context.Context, name string) error { return c.Node(name).StartAndWait(ctx) },
		Build:     c.buildServices,
		Migrate:   func(ctx context.Context) error { return c.runProgram(ctx, c.firstVersion(), Todo, "migrate") },
		Postgres:  c.postgres,
		Kafka:     server.KafkaClient{Addr: c.kafka.Addr()},
		Topics:    server.ServiceTopics(Partitions),
		Servers:   []string{Redis, RedisCache},
	}
	for _, replica := range c.Replicas("") {
		plan.Services = append(plan.Services, replica.Name)
	}
	return plan
}

func (c *Cluster) data() string { return filepath.Join(c.cfg.Dir, "data") }
func (c *Cluster) bins() string { return filepath.Join(c.cfg.Dir, "bin") }
func (c *Cluster) log() string  { return filepath.Join(c.cfg.Dir, "log") }
