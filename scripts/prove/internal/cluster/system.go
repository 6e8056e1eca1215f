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
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
	"example.com/todo/scripts/prove/internal/link"
)

// Config says which system to run.
type Config struct {
	Tree          string // the source tree that the services are built from
	Dir           string // data, logs, built programs
	Tools         toolchain.Tools
	WebhookURL    string
	WebhookSecret string
	Environ       []string  // what the services are told besides; it wins
	OnEnd         func(End) // called at the end of every process, from several goroutines
}

// Replica is where a replica of a service listens, without a link.
type Replica struct {
	Name       string
	HTTP, GRPC string // empty where there is none
}

const (
	replicas     = 2
	serverPorts  = 7
	servicePorts = 15
	// A build on a new machine takes its time.
	readyLimit = 10 * time.Minute
)

// System is the running system. Its methods may be called from several goroutines.
type System struct {
	cfg      Config
	postgres server.Postgres
	standby  server.Postgres
	redis    server.Redis
	cache    server.Redis
	kafka    server.ApacheKafka
	links    map[string]*link.Link
	members  []*Member
	replicas []Replica
	extra    []string // members that do not run at first

	keeping context.Context
	end     context.CancelFunc
	all     sync.WaitGroup
	blocks  []*port.Block
}

// Start builds the services and starts everything, and returns when all of it serves. On an error
// nothing is left running.
func Start(ctx context.Context, cfg Config) (*System, error) {
	s := &System{cfg: cfg, links: map[string]*link.Link{}}
	s.keeping, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, m := range s.members {
		s.all.Go(func() { m.keep(s.keeping) })
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not there after %s", readyLimit))
	defer cancel()
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the system did not start: %w", err), s.Close())
	}
	return s, nil
}

// Close stops everything, the services first, and removes the data. The logs stay.
func (s *System) Close() error {
	s.stopServices()
	s.end()
	s.all.Wait()
	var failed []error
	for _, l := range s.links {
		failed = append(failed, l.Close())
	}
	for _, b := range s.blocks {
		b.Close()
	}
	failed = append(failed, s.postgres.Remove(), s.standby.Remove(), os.RemoveAll(filepath.Join(s.cfg.Dir, "data")), os.RemoveAll(s.bin()))
	return errors.Join(failed...)
}

func (s *System) stopServices() {
	var stopping sync.WaitGroup
	for _, m := range s.members {
		if !IsServer(m.name) {
			stopping.Go(func() { m.Stop(s.keeping) })
		}
	}
	stopping.Wait()
}

// Member returns the program of a name: a server, or a service and a replica's number.
func (s *System) Member(name string) *Member {
	i := slices.IndexFunc(s.members, func(m *Member) bool { return m.name == name })
	if i < 0 {
		panic("there is no member " + name) // a mistake in a scenario
	}
	return s.members[i]
}

// Members returns all programs, the servers first.
func (s *System) Members() []*Member { return s.members }

// Link returns the link to a server.
func (s *System) Link(name string) *link.Link {
	l, ok := s.links[name]
	if !ok {
		panic("there is no link to " + name) // a mistake in a scenario
	}
	return l
}

// Replicas returns the replicas of a service that run from the beginning.
func (s *System) Replicas(service string) []Replica {
	var found []Replica
	for _, r := range s.replicas {
		if strings.HasPrefix(r.Name, service) && !slices.Contains(s.extra, r.Name) {
			found = append(found, r)
		}
	}
	return found
}

// Third returns the third member of a consumer's group, which does not run at first.
func (s *System) Third(service string) *Member {
	return s.Member(fmt.Sprintf("%s-%d", service, replicas+1))
}

func (s *System) assemble(ctx context.Context) error {
	if err := errors.Join(os.MkdirAll(s.bin(), 0o755), os.MkdirAll(s.log(), 0o755)); err != nil {
		return err
	}
	for _, n := range []int{serverPorts, servicePorts} {
		block, err := port.Reserve(ctx, n)
		if err != nil {
			return err
		}
		s.blocks = append(s.blocks, block)
	}
	if err := s.addServers(ctx, taker(s.blocks[0].Ports)); err != nil {
		return err
	}
	take := taker(s.blocks[1].Ports)
	for _, program := range []string{Todo, Notification, Stats} {
		for number := range replicas {
			s.addReplica(program, number+1, take)
		}
	}
	// They come and go, so that the groups have to share the work anew.
	for _, program := range []string{Notification, Stats} {
		s.extra = append(s.extra, s.addReplica(program, replicas+1, take))
	}
	return nil
}

func taker(ports []int) func() int {
	return func() int {
		next := ports[0]
		ports = ports[1:]
		return next
	}
}

func (s *System) add(part supervisor.Part) {
	onEnd := s.cfg.OnEnd
	if onEnd == nil {
		onEnd = func(End) {}
	}
	s.members = append(s.members, &Member{
		part: part, name: part.Name(), dir: s.log(), launcher: s.cfg.Tools.Launcher, onEnd: onEnd,
		changed: make(chan struct{}),
	})
}

// start starts the servers while the services are built, and then the services.
func (s *System) start(ctx context.Context) error {
	group, servers := errgroup.WithContext(ctx)
	built := make(chan struct{})
	group.Go(func() error {
		defer close(built)
		return s.build(servers)
	})
	group.Go(func() error {
		if err := s.Member(Postgres).Up(servers); err != nil {
			return err
		}
		if err := s.postgres.EnsureDatabase(servers, account, account, database); err != nil {
			return err
		}
		<-built
		return s.migrate(servers)
	})
	group.Go(func() error { return s.Member(Redis).Up(servers) })
	group.Go(func() error { return s.Member(RedisCache).Up(servers) })
	group.Go(func() error {
		if err := s.Member(Kafka).Up(servers); err != nil {
			return err
		}
		return server.EnsureTopics(servers, s.kafka.Addr(), events,
			server.Topic{Name: event.DLQTopic, Partitions: Partitions, MaxBytes: dlqBytes})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return s.StartServices(ctx)
}

// StartServices has every replica run, and returns when all serve.
func (s *System) StartServices(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range s.members {
		if !IsServer(m.name) && !slices.Contains(s.extra, m.name) {
			group.Go(func() error { return m.Up(ctx) })
		}
	}
	return group.Wait()
}

// ReplaceTopic deletes the topic of the events, and creates it again.
func (s *System) ReplaceTopic(ctx context.Context) error {
	return server.ReplaceTopic(ctx, s.kafka.Addr(), events)
}

// StopConsumers stops the consumers as an operator would, until StartServices is called.
func (s *System) StopConsumers(ctx context.Context) {
	var stopping sync.WaitGroup
	for _, m := range s.members {
		if strings.HasPrefix(m.name, Notification) || strings.HasPrefix(m.name, Stats) {
			stopping.Go(func() { m.Stop(ctx) })
		}
	}
	stopping.Wait()
}
