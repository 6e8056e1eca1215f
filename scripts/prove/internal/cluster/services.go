package cluster

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
)

// The names of the services.
const (
	Todo         = "todo-service"
	Notification = "notification-service"
	Stats        = "stats-service"
)

// replicaPart is the program of a replica of a service.
type replicaPart struct {
	name    string // service and number of the replica
	program string
	dir     string // of the built programs
	ops     string // address of the ops port
	env     []string
}

func (s replicaPart) Name() string                  { return s.name }
func (s replicaPart) Awaits() string                { return s.ops }
func (s replicaPart) Prepare(context.Context) error { return nil }
func (s replicaPart) path() string                  { return filepath.Join(s.dir, s.program) }
func (s replicaPart) Command() (proc.Command, error) {
	return proc.Command{Path: s.path(), Env: s.env}, nil
}

func (s replicaPart) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", request.URL, response.Status)
	}
	return nil
}

// addReplica adds a replica's node and returns its name. A consumer that runs from the start is a
// static member of its group, so a quick restart does not rebalance the group.
func (s *Cluster) addReplica(program string, number int, take func() int) string {
	name := fmt.Sprintf("%s-%d", program, number)
	one := replicaPart{name: name, program: program, dir: s.bin(), ops: port.Addr(take())}
	one.env = append(s.environment(name), "OPS_ADDR="+one.ops)
	at := Replica{Name: name}
	if program != Notification {
		at.HTTP = port.Addr(take())
		one.env = append(one.env, "HTTP_ADDR="+at.HTTP)
	}
	if program == Todo {
		at.GRPC = port.Addr(take())
		one.env = append(one.env, "GRPC_ADDR="+at.GRPC)
	} else if number <= replicasPerService {
		one.env = append(one.env, "KAFKA_INSTANCE_ID="+name)
	}
	s.addNode(one)
	s.replicas = append(s.replicas, at)
	return name
}

// environment returns the settings of every replica; a program ignores those of the others.
func (s *Cluster) environment(name string) []string {
	wanted := ""
	if name == fmt.Sprintf("%s-%d", Todo, replicasPerService) { // the other replica accepts any server
		wanted = "&target_session_attrs=read-write"
	}
	env := []string{
		"LOG_FORMAT=text",
		"DRAIN_WAIT=0s", // there is no load balancer
		"POSTGRES_DSN=" + s.dsn(s.Link(Postgres).Port()) + "&application_name=" + name + wanted,
		"REDIS_ADDR=" + s.Link(Redis).Addr(),
		"REDIS_CACHE_ADDR=" + s.Link(RedisCache).Addr(),
		"KAFKA_BROKERS=" + s.Link(Kafka).Addr(),
		// All clients share one address.
		"RATE_LIMIT_REQUESTS=1000000000",
		"WATCH_MAX_PER_CLIENT=10000",
		"MAX_CONNS_PER_CLIENT=10000",
		"WEBHOOK_URL=" + s.cfg.WebhookURL,
		"WEBHOOK_SECRET=" + s.cfg.WebhookSecret,
		"WEBHOOK_ALLOW_PRIVATE=true",
	}
	return append(env, s.cfg.ExtraEnv...)
}
