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

func (r replicaPart) Name() string                  { return r.name }
func (r replicaPart) ReadyWhen() string             { return r.ops }
func (r replicaPart) Prepare(context.Context) error { return nil }
func (r replicaPart) path() string                  { return filepath.Join(r.dir, r.program) }
func (r replicaPart) Command() (proc.Command, error) {
	return proc.Command{Path: r.path(), Env: r.env}, nil
}

func (r replicaPart) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.ops+"/readyz", nil)
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
func (c *Cluster) addReplica(program string, number int, nextPort func() int) string {
	name := fmt.Sprintf("%s-%d", program, number)
	part := replicaPart{name: name, program: program, dir: c.bin(), ops: port.Addr(nextPort())}
	part.env = append(c.environment(name), "OPS_ADDR="+part.ops)
	replica := Replica{Name: name}
	if program != Notification {
		replica.HTTP = port.Addr(nextPort())
		part.env = append(part.env, "HTTP_ADDR="+replica.HTTP)
	}
	if program == Todo {
		replica.GRPC = port.Addr(nextPort())
		part.env = append(part.env, "GRPC_ADDR="+replica.GRPC)
	} else if number <= replicasPerService {
		part.env = append(part.env, "KAFKA_INSTANCE_ID="+name)
	}
	c.addNode(part)
	c.replicas = append(c.replicas, replica)
	return name
}

// environment returns the settings of every replica; a program ignores what it does not know.
func (c *Cluster) environment(name string) []string {
	sessionAttrs := ""
	if name == fmt.Sprintf("%s-%d", Todo, replicasPerService) { // the other replica accepts any server
		sessionAttrs = "&target_session_attrs=read-write"
	}
	return []string{
		"LOG_FORMAT=text",
		"DRAIN_WAIT=0s", // there is no load balancer
		"POSTGRES_DSN=" + c.dsn(c.Proxy(Postgres).Port()) + "&application_name=" + name + sessionAttrs,
		"REDIS_ADDR=" + c.Proxy(Redis).Addr(),
		"REDIS_CACHE_ADDR=" + c.Proxy(RedisCache).Addr(),
		"KAFKA_BROKERS=" + c.Proxy(Kafka).Addr(),
		// All clients share one address.
		"RATE_LIMIT_REQUESTS=1000000000",
		"WATCH_MAX_PER_CLIENT=10000",
		"MAX_CONNS_PER_CLIENT=10000",
		"WEBHOOK_URL=" + c.cfg.WebhookURL,
		"WEBHOOK_SECRET=" + c.cfg.WebhookSecret,
		"WEBHOOK_ALLOW_PRIVATE=true",
	}
}
