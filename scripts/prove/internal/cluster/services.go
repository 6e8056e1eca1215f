package cluster

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
)

// The services.
const (
	Todo         = "todo-service"
	Notification = "notification-service"
	Stats        = "stats-service"
)

// service is a replica of one of the services.
type service struct {
	name    string // with the replica's number
	program string
	dir     string // of the built programs
	ops     string // address
	env     []string
}

func (s service) Name() string                  { return s.name }
func (s service) ReadyWhen() string             { return s.ops }
func (s service) Prepare(context.Context) error { return nil }
func (s service) path() string                  { return filepath.Join(s.dir, s.program) }
func (s service) Command() (proc.Command, error) {
	return proc.Command{Path: s.path(), Env: s.env}, nil
}

func (s service) Ready(ctx context.Context) error {
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

// addReplica takes the ports that a replica listens on, and returns its name. A replica that is there
// from the beginning is a static member of its group: when it comes back soon, nobody has to share anew.
func (s *System) addReplica(program string, number int, take func() int) string {
	name := fmt.Sprintf("%s-%d", program, number)
	one := service{name: name, program: program, dir: s.bin(), ops: port.Addr(take())}
	one.env = append(s.environ(name), "OPS_ADDR="+one.ops)
	at := Replica{Name: name}
	if program != Notification {
		at.HTTP = port.Addr(take())
		one.env = append(one.env, "HTTP_ADDR="+at.HTTP)
	}
	if program == Todo {
		at.GRPC = port.Addr(take())
		one.env = append(one.env, "GRPC_ADDR="+at.GRPC)
	} else if number <= replicas {
		one.env = append(one.env, "KAFKA_INSTANCE_ID="+name)
	}
	s.add(one)
	s.replicas = append(s.replicas, at)
	return name
}

// environ is what every replica is told; what a program does not know it ignores.
func (s *System) environ(name string) []string {
	wanted := ""
	if name == fmt.Sprintf("%s-%d", Todo, replicas) { // one takes whatever server it comes to, one is choosy
		wanted = "&target_session_attrs=read-write"
	}
	env := []string{
		"LOG_FORMAT=text",
		"DRAIN_WAIT=0s", // there is no load balancer to wait for
		"POSTGRES_DSN=" + s.dsn(s.Link(Postgres).Port()) + "&application_name=" + name + wanted,
		"REDIS_ADDR=" + s.Link(Redis).Addr(),
		"REDIS_CACHE_ADDR=" + s.Link(RedisCache).Addr(),
		"KAFKA_BROKERS=" + s.Link(Kafka).Addr(),
		// All clients come from one address.
		"RATE_LIMIT_REQUESTS=1000000000",
		"WATCH_MAX_PER_CLIENT=10000",
		"MAX_CONNS_PER_CLIENT=10000",
		"WEBHOOK_URL=" + s.cfg.WebhookURL,
		"WEBHOOK_SECRET=" + s.cfg.WebhookSecret,
		"WEBHOOK_ALLOW_PRIVATE=true",
	}
	return append(env, s.cfg.Environ...)
}
