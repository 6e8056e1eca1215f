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
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/stack"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/prove/internal/link"
)

// Config describes a cluster.
type Config struct {
	Tree          string // source tree that the services are built from
	Dir           string // for data, logs and programs
	Tools         stack.Tools
	WebhookURL    string
	WebhookSecret string
	ExtraEnv      []string   // added to the services' environment; overrides it
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
	// Includes a build without a cache.
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
	links    map[string]*link.Link
	nodes    []*Node
	replicas []Replica
	spares   []string // names of nodes that do not run at first

	supervision     context.Context
	stopSupervision context.CancelFunc
	supervisors     sync.WaitGroup
	ports           []*port.Block
}

// Start builds the services, starts every node and returns when all are ready. After an error
// nothing is left running.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	s := &Cluster{cfg: cfg, links: map[string]*link.Link{}}
	s.supervision, s.stopSupervision = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.addNodes(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, m := range s.nodes {
		s.supervisors.Go(func() { m.supervise(s.supervision) })
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	if err := s.startNodes(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the cluster did not start: %w", err), s.Close())
	}
	return s, nil
}

// Close stops everything, the services first, and removes the data. The logs stay.
func (s *Cluster) Close() error {
	s.stopServices()
	s.stopSupervision()
	s.supervisors.Wait()
	var failed []error
	for _, l := range s.links {
		failed = append(failed, l.Close())
	}
	for _, b := range s.ports {
		b.Close()
	}
	failed = append(failed, s.postgres.Remove(), s.standby.Remove(), os.RemoveAll(filepath.Join(s.cfg.Dir, "data")), os.RemoveAll(s.bin()))
	return errors.Join(failed...)
}

func (s *Cluster) stopServices() {
	var stopping sync.WaitGroup
	for _, m := range s.nodes {
		if !IsServer(m.name) {
			stopping.Go(func() { m.StopAndHold(s.supervision) })
		}
	}
	stopping.Wait()
}

// Node returns the node with a name: a server's, or a service's with the replica's number. It
// panics on an unknown name.
func (s *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(s.nodes, func(m *Node) bool { return m.name == name })
	if i < 0 {
		panic("there is no node " + name) // a mistake in a scenario
	}
	return s.nodes[i]
}

// Nodes returns all nodes, the servers first.
func (s *Cluster) Nodes() []*Node { return s.nodes }

// Link returns the proxy to a server. It panics on an unknown name.
func (s *Cluster) Link(name string) *link.Link {
	l, ok := s.links[name]
	if !ok {
		panic("there is no proxy to " + name) // a mistake in a scenario
	}
	return l
}

// Replicas returns the replicas of a service that run from the start.
func (s *Cluster) Replicas(service string) []Replica {
	var found []Replica
	for _, r := range s.replicas {
		if strings.HasPrefix(r.Name, service) && !slices.Contains(s.spares, r.Name) {
			found = append(found, r)
		}
	}
	return found
}

// SpareReplica returns the third member of a consumer group, which does not run at first.
func (s *Cluster) SpareReplica(service string) *Node {
	return s.Node(fmt.Sprintf("%s-%d", service, replicasPerService+1))
}

func (s *Cluster) addNodes(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(s.bin(), 0o755), os.MkdirAll(s.log(), 0o755)); err != nil {
		return err
	}
	for _, n := range []int{serverPorts, servicePorts} {
		block, err := port.Reserve(ctx, n)
		if err != nil {
			return err
		}
		s.ports = append(s.ports, block)
	}
	if err := s.addServers(ctx, portAllocator(s.ports[0].Ports)); err != nil {
		return err
	}
	take := portAllocator(s.ports[1].Ports)
	for _, program := range []string{Todo, Notification, Stats} {
		for number := range replicasPerService {
			s.addReplica(program, number+1, take)
		}
	}
	// The spare members join and leave, so that the groups rebalance.
	for _, program := range []string{Notification, Stats} {
		s.spares = append(s.spares, s.addReplica(program, replicasPerService+1, take))
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

func (s *Cluster) addNode(part supervisor.Part) {
	onEnd := s.cfg.OnExit
	if onEnd == nil {
		onEnd = func(Exit) {}
	}
	s.nodes = append(s.nodes, &Node{
		part: part, name: part.Name(), dir: s.log(), launcher: s.cfg.Tools.Launcher, onExit: onEnd,
		changed: make(chan struct{}),
	})
}

// startNodes starts the servers while the services are built, and then the services.
func (s *Cluster) startNodes(ctx context.Context) error {
	group, servers := errgroup.WithContext(ctx)
	built := make(chan struct{})
	group.Go(func() error {
		defer close(built)
		return s.buildServices(servers)
	})
	group.Go(func() error {
		if err := s.Node(Postgres).StartAndWait(servers); err != nil {
			return err
		}
		if err := s.postgres.EnsureDatabase(servers, account, account, database); err != nil {
			return err
		}
		<-built
		return s.migrate(servers)
	})
	group.Go(func() error { return s.Node(Redis).StartAndWait(servers) })
	group.Go(func() error { return s.Node(RedisCache).StartAndWait(servers) })
	group.Go(func() error {
		if err := s.Node(Kafka).StartAndWait(servers); err != nil {
			return err
		}
		return server.EnsureTopics(servers, s.kafka.Addr(), eventsTopic,
			server.Topic{Name: event.DLQTopic, Partitions: Partitions, MaxBytes: dlqBytes})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return s.StartServices(ctx)
}

// StartServices starts all replicas but the spare ones, and returns when they are ready.
func (s *Cluster) StartServices(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range s.nodes {
		if !IsServer(m.name) && !slices.Contains(s.spares, m.name) {
			group.Go(func() error { return m.StartAndWait(ctx) })
		}
	}
	return group.Wait()
}

// ReplaceTopic deletes the topic of the events and creates it again.
func (s *Cluster) ReplaceTopic(ctx context.Context) error {
	return server.ReplaceTopic(ctx, s.kafka.Addr(), eventsTopic)
}

// StopConsumers stops the consumers gracefully; StartServices starts them again.
func (s *Cluster) StopConsumers(ctx context.Context) {
	var stopping sync.WaitGroup
	for _, m := range s.nodes {
		if strings.HasPrefix(m.name, Notification) || strings.HasPrefix(m.name, Stats) {
			stopping.Go(func() { m.StopAndHold(ctx) })
		}
	}
	stopping.Wait()
}
